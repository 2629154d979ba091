import { readFile } from 'node:fs/promises';
import type { JobRequest, JobView } from '../../contract/jobs.js';
import { messageOf, systemCodeOf } from '../../errors.js';
import type { JobService } from '../../jobs/service.js';

/** What `plimsoll bulk` needs of jobs, here or on a server. */
export type BulkJobs = Pick<JobService, 'submit' | 'show'>;

const TIMEOUT_MS = 30_000;

/** What a server answered instead of the job. */
export class ServerRefusal extends Error {
  /** Whether it will answer the same the next time: it has no such job, or does not let us see it. */
  readonly isFinal: boolean;

  constructor(message: string, status: number) {
    super(message);
    this.isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  }
}

/**
 * Jobs of another server.
 *
 * @param key for `Authorization`; see {@link keyFromEnvironment}
 */
export function remoteJobs(server: string, key: string | undefined): BulkJobs {
  const ask = async (path: string, body?: JobRequest): Promise<JobView> => {
    const reply = await fetch(new URL(path, server.endsWith('/') ? server : `${server}/`), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new Error(`${server} does not answer: ${reasonOf(error)}`, { cause: error });
    });
    const text = await reply.text();
    if (!reply.ok) {
      throw new ServerRefusal(
        `${server} answers ${reply.status}: ${messageIn(text)}`,
        reply.status,
      );
    }
    return JSON.parse(text);
  };
  return {
    submit: (request) => ask('v1/jobs', request),
    show: (id) => ask(`v1/jobs/${id}`),
  };
}

/** `PLIMSOLL_KEY`, or what is in the file that `PLIMSOLL_KEY_FILE` names: an argument could be read by every user of the machine. */
export async function keyFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const { PLIMSOLL_KEY: key, PLIMSOLL_KEY_FILE: file } = environment;
  if (key !== undefined) return key;
  return file === undefined ? undefined : (await readFile(file, 'utf8')).trim();
}

/** Of a failed fetch: what went wrong stands in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return systemCodeOf(cause) ?? messageOf(cause);
}

function messageIn(text: string): string {
  try {
    const { error } = JSON.parse(text);
    return String(error.message);
  } catch {
    return text.slice(0, 500);
  }
}
