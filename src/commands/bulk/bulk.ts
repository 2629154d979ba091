import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { App } from '../../app/app.js';
import { createLog } from '../../app/log.js';
import type { JobRequest, JobView } from '../../contract/jobs.js';
import { jobIdOf } from '../../jobs/run/part.js';
import type { Config } from '../../settings/config.js';
import { SettingError } from '../../settings/setting.js';
import { configFrom, printWarnings } from '../flags.js';
import { fetchNamedModels } from '../hub-models.js';
import { type BulkFlags, jobRequestOf } from './bulk-flags.js';
import { followed } from './follow-job.js';
import { outcomeLines } from './job-display.js';
import { keyFromEnvironment, remoteJobs } from './remote-jobs.js';

/** Exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it. */
const STOPPED_BY_HAND = 130;

/**
 * `plimsoll bulk`: classifies the rows of files, with the machine’s own models or by a server’s jobs.
 *
 * @returns 0 if the job is done, 1 if it failed or was cancelled, 130 after Ctrl-C
 */
export async function bulk(inputs: readonly string[], flags: BulkFlags): Promise<number> {
  const request = jobRequestOf(inputs, flags);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => stop.abort());
  }
  if (flags.server === undefined) return here(request, flags, stop.signal);
  const jobs = remoteJobs(flags.server, await keyFromEnvironment(process.env));
  const { id } = await jobs.submit(request);
  process.stderr.write(`job ${id}: ${new URL(`v1/jobs/${id}`, slashed(flags.server))}\n`);
  if (flags.detach === true) return 0;
  const job = await followed(jobs, id, stop.signal);
  if (job === undefined) {
    process.stderr.write(`the job goes on; to stop it: POST /v1/jobs/${id}/cancel\n`);
    return STOPPED_BY_HAND;
  }
  return told(job);
}

/** Runs the job in this process; its state lies in the data folder until it is done. */
async function here(request: JobRequest, flags: BulkFlags, signal: AbortSignal): Promise<number> {
  const { model, ...common } = flags;
  // A model of a hub is fetched where the cache lacks it; others lie in the models folder.
  const isOfHub = model?.includes('/') === true && flags.models === undefined;
  const {
    config: asked,
    cpus,
    warnings,
  } = await configFrom(isOfHub ? { ...common, model } : common);
  const config = embedded(asked, flags.set);
  printWarnings(warnings);
  await fetchNamedModels(config);
  const stateFolder = path.join(config.data, 'bulk', jobIdOf(request));
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const log = createLog({ level: 'warn', format: 'pretty', isTerminal: false });
  const app = await App.create(config, cpus, log, { stateFolder, folders: 'any' });
  let job: JobView | undefined;
  try {
    const jobs = await app.startForJobs();
    const { id } = await jobs.submit(request);
    job = await followed(jobs, id, signal);
  } finally {
    await app.stop();
    log.end();
  }
  if (job === undefined) {
    process.stderr.write('stopped; the same command goes on where it was\n');
    return STOPPED_BY_HAND;
  }
  // What failed can be tried again by the same command.
  if (job.state === 'done') await rm(stateFolder, { recursive: true, force: true });
  return told(job);
}

/**
 * The settings of a job of this process: its queue is its own SQLite file, and it works. In a container of a fleet the environment
 * says otherwise, for the server there.
 *
 * @param set what `--set` says
 * @throws SettingError if it asks for what belongs to a fleet
 */
export function embedded(config: Config, set: readonly string[]): Config {
  for (const key of OF_A_FLEET) {
    if (!set.some((written) => written.startsWith(`${key}=`))) continue;
    throw new SettingError(
      `--set ${key}: a job of this process has a queue of its own; to give it to a fleet use --server`,
    );
  }
  return {
    ...config,
    ...{ 'jobs.url': '', 'database.url': '', 'redis.url': '', 'server.role': 'all' },
  };
}

const OF_A_FLEET = ['jobs.url', 'database.url', 'redis.url', 'server.role'] as const;

function told(job: JobView): number {
  for (const line of outcomeLines(job)) process.stdout.write(`${line}\n`);
  return job.state === 'done' ? 0 : 1;
}

function slashed(server: string): string {
  return server.endsWith('/') ? server : `${server}/`;
}
