import type { PageState } from '../contract/events.js';
import type { JobRequest, JobStateName, JobView, ShardView } from '../contract/jobs.js';
import { messageOf, PlimsollError } from '../errors.js';
import { Backlog } from './backlog.js';
import type { FileRef } from './files/place.js';
import type { Places } from './files/places.js';
import { assertCanWrite } from './formats/writing/can-write.js';
import { expectedRows, type RunningRows } from './progress.js';
import type { JobEvent, JobQueue, JobState, ShardState, ShardStateName } from './queue/queue.js';
import { askedTask } from './run/asked.js';
import { assertNamesApart, jobIdOf, manifestNameOf, partFormat, withFormat } from './run/part.js';
import type { JobModels } from './run/runner.js';
import { shownJob, shownShard } from './shown.js';

/** Longest look at the input before a job is taken. */
const LOOK_MS = 10_000;
/** Failed and running shards that are shown with a job. */
const SHOWN_SHARDS = 100;

/** Jobs of an overview: at least so many open ones, and ended ones where there is room. */
const SHOWN_OPEN = 20;
const SHOWN = 5;
/** The newest jobs, of which the ended ones are counted. */
const LISTED = 50;

/** Jobs as a page shows them. */
export interface JobsOverview {
  readonly jobs: readonly JobView[];
  readonly more: PageState['jobs_more'];
}

export interface JobServiceParts {
  readonly queue: JobQueue;
  /** Loaded with the first job. */
  readonly places: () => Promise<Pick<Places, 'list' | 'writer'>>;
  readonly models: JobModels;
  readonly progress: RunningRows;
  /** @throws PlimsollError INVALID_REQUEST if there is no default model */
  readonly modelOf: (name: string | undefined) => string | Promise<string>;
  /** Whether this server works on jobs, and does not answer only. */
  readonly works: boolean;
  /** Wall clock, in ms; by default this machine’s. */
  readonly now?: () => number;
}

const NO_WORKER = 'a server that works on jobs: this one only answers (server.role=door)';

/** Jobs as callers see them. */
export class JobService {
  readonly #parts: JobServiceParts;
  readonly #backlog: Backlog;

  constructor(parts: JobServiceParts) {
    this.#parts = parts;
    this.#backlog = new Backlog(parts);
  }

  /**
   * Takes a job. What cannot go well is refused at once: the model, the task, the output, the first file of the input.
   *
   * @throws PlimsollError INVALID_REQUEST, MODEL_NOT_FOUND, MODEL_UNUSABLE, TASK_NOT_SUPPORTED, TOO_MANY_JOBS, JOBS_UNAVAILABLE
   */
  async submit(asked: JobRequest): Promise<JobView> {
    const { queue, models, modelOf } = this.#parts;
    const model = await modelOf(asked.model);
    const { description, ...here } = await models.about(model);
    const named = { ...asked, model };
    const task = askedTask(named, description.task);
    task.of([PROBE]).plan(description);
    assertNamesApart(named, task);
    const request = withFormat(named, await this.#checkPlaces(named));
    return this.#view(await queue.add({ id: jobIdOf(request), request, model: here }));
  }

  /** @throws PlimsollError JOB_NOT_FOUND */
  async show(id: string): Promise<JobView> {
    return this.#view(await this.#found(id));
  }

  /** The newest first. */
  async list(limit: number, state?: JobStateName): Promise<readonly JobView[]> {
    const states = await this.#parts.queue.list(limit, state);
    return Promise.all(states.map((each) => this.#view(each)));
  }

  /** What a page shows: open jobs first, as each can be cancelled, then those that ended last; and how many more there are. */
  async overview(): Promise<JobsOverview> {
    const { queue } = this.#parts;
    const { open } = await queue.backlog();
    const found = await Promise.all(open.slice(0, SHOWN_OPEN).map(({ id }) => queue.find(id)));
    const shown = found.flatMap((job) => (job === undefined ? [] : [job]));
    const ids = new Set(open.map(({ id }) => id));
    const ended = (await queue.list(LISTED)).filter(({ id }) => !ids.has(id));
    // By their end: who cancels a job sees it, and can retry it.
    const byEnd = ended.sort((one, other) => (other.endedAtMs ?? 0) - (one.endedAtMs ?? 0));
    const last = byEnd.slice(0, Math.max(0, SHOWN - shown.length));
    const newest = [...shown].sort((one, other) => other.createdAtMs - one.createdAtMs);
    return {
      jobs: await Promise.all([...newest, ...last].map((each) => this.#view(each))),
      more: { open: open.length - shown.length, ended: ended.length - last.length },
    };
  }

  /** @throws PlimsollError JOB_NOT_FOUND */
  async shards(
    id: string,
    of: { readonly from: number; readonly limit: number; readonly state?: ShardStateName },
  ): Promise<readonly ShardView[]> {
    await this.#found(id);
    return (await this.#parts.queue.shards(id, of)).map(shownShard);
  }

  /** @throws PlimsollError JOB_NOT_FOUND, JOB_ENDED */
  async cancel(id: string): Promise<JobView> {
    return this.#view(await this.#parts.queue.cancel(id));
  }

  /** @throws PlimsollError JOB_NOT_FOUND, JOB_RUNNING, TOO_MANY_JOBS */
  async retry(id: string): Promise<JobView> {
    const { queue, models } = this.#parts;
    const { request } = await this.#found(id);
    // A server without the model leaves the job as it began.
    const about = await models.about(request.model ?? '').catch(() => undefined);
    const model = about && { id: about.id, commit: about.commit, dtype: about.dtype };
    return this.#view(await queue.retry(id, model));
  }

  onEvent(listener: (event: JobEvent) => void): () => void {
    return this.#parts.queue.onEvent(listener);
  }

  /**
   * Time that the open jobs will take at the pace of all servers together; 0 without one.
   *
   * @throws PlimsollError JOBS_UNAVAILABLE
   */
  backlogSeconds(): Promise<number> {
    return this.#backlog.seconds();
  }

  /** Looks at the queue no more by itself. */
  close(): void {
    this.#backlog.close();
  }

  async #found(id: string): Promise<JobState> {
    const job = await this.#parts.queue.find(id);
    if (job !== undefined) return job;
    throw new PlimsollError('JOB_NOT_FOUND', `there is no job "${id.slice(0, 100)}"`);
  }

  /** @returns the first file of the input */
  async #checkPlaces(request: JobRequest): Promise<FileRef> {
    const places = await this.#parts.places();
    const signal = AbortSignal.timeout(LOOK_MS);
    try {
      return await this.#firstFile(places, request, signal);
    } catch (error) {
      if (error instanceof PlimsollError) throw error;
      const why = signal.aborted ? `no answer within ${LOOK_MS / 1000} s` : messageOf(error);
      throw new PlimsollError(
        'STORAGE_UNAVAILABLE',
        `the input or the output of the job cannot be reached: ${why}`,
        { cause: error },
      );
    }
  }

  async #firstFile(
    places: Pick<Places, 'list' | 'writer'>,
    request: JobRequest,
    signal: AbortSignal,
  ): Promise<FileRef> {
    await places.writer(request.output).find(manifestNameOf(jobIdOf(request)), signal);
    const patterns = typeof request.input === 'string' ? [request.input] : request.input;
    const options = { output: request.output, isLook: true };
    for await (const file of places.list(patterns, signal, options)) {
      assertCanWrite(partFormat(request, file).compression);
      return file;
    }
    const reason = `there is no file to read in ${patterns.join(', ').slice(0, 500)}`;
    throw new PlimsollError('INVALID_REQUEST', reason);
  }

  async #view(job: JobState): Promise<JobView> {
    const { queue } = this.#parts;
    const some = (state: ShardStateName): Promise<readonly ShardState[]> =>
      job.shards[state] === 0
        ? Promise.resolve([])
        : queue.shards(job.id, { limit: SHOWN_SHARDS, state });
    const [failed, running] = await Promise.all([some('failed'), some('running')]);
    const rows = job.endedAtMs === null ? job.rows + this.#parts.progress.of(job.id) : job.rows;
    const perSecond = this.#perSecond(job, rows);
    const expected = expectedRows(job);
    const waitingFor = this.#waitingFor(job);
    return shownJob({ ...job, rows }, { failed, running, perSecond, expected, waitingFor });
  }

  /** Why nothing of an open job runs, as far as this server knows. */
  #waitingFor({ id, endedAtMs, shards }: JobState): string | undefined {
    if (endedAtMs !== null || shards.running > 0) return undefined;
    return this.#parts.works ? this.#parts.queue.whyIdle(id) : NO_WORKER;
  }

  #perSecond(job: JobState, rows: number): number | undefined {
    if (job.endedAtMs === null) return this.#backlog.perSecond(job.id, rows);
    const ms = job.endedAtMs - (job.startedAtMs ?? job.endedAtMs);
    return ms > 0 ? (job.rows * 1000) / ms : undefined;
  }
}

/** A text by which it is seen whether a model can do a task; it is never run. */
const PROBE = 'text';
