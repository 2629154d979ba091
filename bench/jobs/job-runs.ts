/** Jobs of a server under test: their input, and what they take. */
import { createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileFormat, JobRequest, JobView } from '../../src/contract/jobs.js';
import { encode } from '../../src/jobs/formats/writing/encode.js';
import type { ServerUnderTest } from '../harness/server.js';

const LOOK_MS = 250;
const ROWS_OF_SLICE = 500;

/** Writes a file of rows `{id, text}`. */
export async function writeRows(
  file: string,
  format: FileFormat,
  rows: number,
  textOf: (row: number) => string,
): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const columns = [
    { name: 'id', type: 'integer' },
    { name: 'text', type: 'text' },
  ] as const;
  const chunks = encode(slicesOf(rows, textOf), { format, compression: 'none', columns });
  await pipeline(Readable.from(chunks), createWriteStream(file));
}

async function* slicesOf(rows: number, textOf: (row: number) => string) {
  for (let from = 0; from < rows; from += ROWS_OF_SLICE) {
    const length = Math.min(ROWS_OF_SLICE, rows - from);
    yield Array.from({ length }, (_, n) => ({ id: from + n, text: textOf(from + n) }));
  }
}

export class JobClient {
  readonly #server: ServerUnderTest;

  constructor(server: ServerUnderTest) {
    this.#server = server;
  }

  submit(request: JobRequest): Promise<JobView> {
    return this.#ask('POST', '/v1/jobs', request);
  }

  show(id: string): Promise<JobView> {
    return this.#ask('GET', `/v1/jobs/${id}`);
  }

  cancel(id: string): Promise<JobView> {
    return this.#ask('POST', `/v1/jobs/${id}/cancel`);
  }

  /** Looks at the job until it is so. @throws Error if it ends otherwise */
  async until(
    id: string,
    isSo: (job: JobView) => boolean,
    onLook: (job: JobView) => void | Promise<void> = () => undefined,
  ): Promise<JobView> {
    for (;;) {
      const job = await this.show(id);
      await onLook(job);
      if (isSo(job)) return job;
      if (job.ended_at !== null) throw new Error(`job ${id} is ${job.state}: ${job.error ?? ''}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Private memory of all processes of the server, in MB. */
  async privateMb(): Promise<number> {
    const { processes } = await this.#server.api.memory();
    return processes.reduce((sum, { private_mb: mb }) => sum + mb, 0);
  }

  async #ask(method: string, address: string, body?: object): Promise<JobView> {
    const reply = await fetch(`${this.#server.url}${address}`, {
      method,
      ...(body && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${address}: ${reply.status} ${text}`);
    return JSON.parse(text);
  }
}

/** Rows per second of a job that has ended. */
export function rateOf({ rows, started_at: began, ended_at: ended }: JobView): number {
  const ms = Date.parse(ended ?? '') - Date.parse(began ?? '');
  return (rows.done * 1000) / ms;
}

export async function partsIn(folder: string): Promise<number> {
  return (await readdir(folder)).filter((name) => name.startsWith('part-')).length;
}
