import { setMaxListeners } from 'node:events';
import type { JobShard } from '../../contract/jobs.js';
import { PlimsollError } from '../../errors.js';
import type { RowTask } from '../../inference/row-task.js';
import type { ModelDescription } from '../../models/intake/description.js';
import { InputError } from '../files/input-error.js';
import type { Places } from '../files/places.js';
import type { Columns } from '../formats/format.js';
import { encode, type Formats } from '../formats/formats.js';
import type { RunningRows } from '../progress.js';
import {
  HANDED_BACK,
  JobFailure,
  type JobModel,
  type JobState,
  type JobWork,
  type PlanPiece,
  type Shard,
  type ShardResult,
  type ShardState,
} from '../queue/queue.js';
import { type AnsweredRow, answeredRows } from './answered-rows.js';
import { type AskedTask, askedTask, inputOf } from './asked.js';
import { manifestOf } from './manifest.js';
import { inputOptionsOf, manifestNameOf, outputOptionsOf, partNameOf, partRow } from './part.js';
import { withPartsThere } from './parts-there.js';

/** What jobs need of models. */
export interface JobModels {
  /** Whether this machine has the model, and memory for it now. */
  mayRun(model: string): boolean;
  /** @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE */
  about(model: string): Promise<JobModel & { readonly description: ModelDescription }>;
  /** One answer for each input, in what callers leave of the workers. */
  answers<R>(
    of: { readonly model: string; readonly task: RowTask<R>; readonly user: string },
    signal: AbortSignal,
  ): Promise<readonly R[]>;
}

/** A shard’s own session. */
export interface ShardSession {
  /** Ends it: its cleanup runs, and its receipt is kept. */
  end(succeeded: boolean): Promise<void>;
}

export interface RunnerParts {
  readonly places: Places;
  readonly formats: Formats;
  readonly models: JobModels;
  /** @throws PlimsollError TOO_MANY_SESSIONS, MEMORY_PRESSURE, SHUTTING_DOWN */
  readonly openSession: (user: string, model: string, of: JobShard) => ShardSession;
  readonly server: string;
  /** Told of every slice of rows that is done. */
  readonly progress: RunningRows;
}

/** Shards of a piece of planning. */
const PLAN_SHARDS = 100;
/** Rows that are asked together; those of four such pieces wait or run at once. */
const PIECE_ROWS = 64;
const PIECES_AT_ONCE = 4;

/** Plans jobs, runs their shards, and writes their manifests: what one machine does of them. */
export class JobRunner implements Omit<JobWork, 'mayTake'> {
  readonly #parts: RunnerParts;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  async *plan({ request }: JobState, signal: AbortSignal): AsyncGenerator<PlanPiece> {
    const { places, formats } = this.#parts;
    const patterns = typeof request.input === 'string' ? [request.input] : request.input;
    const rows = request.shard_rows ?? 4000;
    let [shards, index, files, bytes]: [Shard[], number, number, number] = [[], 0, 0, 0];
    try {
      for await (const file of places.list(patterns, signal)) {
        files += 1;
        bytes += file.bytes;
        const options = inputOptionsOf(request, file);
        const ranges = formats.input(options.format).plan(file, options, rows, signal);
        for await (const range of ranges) {
          shards.push({ index, file, range });
          index += 1;
          if (shards.length < PLAN_SHARDS) continue;
          yield { shards, files, bytes };
          shards = [];
        }
      }
    } catch (error) {
      throw failureOf(error);
    }
    yield { shards, files, bytes };
  }

  async run(job: JobState, shard: Shard, signal: AbortSignal): Promise<ShardResult> {
    const { models, openSession, server } = this.#parts;
    const { id, request } = job;
    // Every piece of rows that waits listens to it.
    setMaxListeners(0, signal);
    const beganMs = performance.now();
    const asked = request.model ?? '';
    try {
      const { description, ...model } = await models.about(asked);
      const task = askedTask(request, description.task);
      const user = `job ${id}`;
      const session = openSession(user, model.id, { id, shard: shard.index });
      const count = { rows: 0, bad: 0 };
      try {
        const written = await this.#write(job, shard, { model, task, user, count }, signal);
        await session.end(true);
        return { ...written, ...count, server, tookMs: performance.now() - beganMs, model };
      } catch (error) {
        await session.end(false);
        throw error;
      } finally {
        this.#parts.progress.ended(id, count.rows);
      }
    } catch (error) {
      throw failureOf(error);
    }
  }

  async finish(
    job: JobState,
    shards: AsyncIterable<ShardState>,
    signal: AbortSignal,
  ): Promise<string> {
    checkErrors(job, 0);
    const writer = this.#parts.places.writer(job.request.output);
    // What attempts that were killed have left.
    await writer.tidy(signal);
    // A job that is retried has another manifest in the end.
    const { output } = job.request;
    const chunks = manifestOf(job, withPartsThere(shards, output, writer, signal));
    try {
      const { url } = await writer.replace(manifestNameOf(job.id), chunks, signal);
      // The job is done, whether or not its place can be tidied up.
      await writer.tidy(signal).catch(() => 0);
      return url;
    } catch (error) {
      throw failureOf(error);
    }
  }

  async #write(
    job: JobState,
    shard: Shard,
    of: {
      readonly model: JobModel;
      readonly task: AskedTask;
      readonly user: string;
      readonly count: { rows: number; bad: number };
    },
    signal: AbortSignal,
  ): Promise<Pick<ShardResult, 'part' | 'bytes' | 'sha256'>> {
    const { places, formats } = this.#parts;
    const { request } = job;
    const options = inputOptionsOf(request, shard.file);
    const name = partNameOf(request, shard);
    const slices = formats.input(options.format).read(shard.file, shard.range, options, signal);
    const answered = this.#answered(slices, request, of, signal);
    const counted = this.#counted(job, answered, of.count);
    const rows = asColumns(counted, (row) => partRow(row, request, of.task, of.model));
    const { first, all } = await peeked(rows);
    const output = outputOptionsOf(request, shard.file, of.task, first);
    const writer = places.writer(request.output);
    const { bytes, sha256 } = await writer.write(name, encode(all, output), signal);
    return { part: name, bytes, sha256 };
  }

  #answered(
    slices: Parameters<typeof answeredRows>[0],
    request: JobState['request'],
    {
      model,
      task,
      user,
    }: { readonly model: JobModel; readonly task: AskedTask; readonly user: string },
    signal: AbortSignal,
  ): AsyncGenerator<readonly AnsweredRow[]> {
    return answeredRows(slices, {
      inputOf: (row) => ('bad' in row ? row : inputOf(row.columns, request)),
      ask: (inputs) =>
        this.#parts.models.answers({ model: model.id, task: task.of(inputs), user }, signal),
      pieceRows: Math.max(1, Math.floor(PIECE_ROWS / task.cost)),
      atOnce: PIECES_AT_ONCE,
    });
  }

  async *#counted(
    job: JobState,
    slices: AsyncIterable<readonly AnsweredRow[]>,
    count: { rows: number; bad: number },
  ): AsyncGenerator<readonly AnsweredRow[]> {
    for await (const slice of slices) {
      const bad = slice.filter((row) => 'bad' in row).length;
      count.rows += slice.length;
      count.bad += bad;
      this.#parts.progress.ran(job.id, slice.length, bad);
      checkErrors(job, count.bad);
      yield slice;
    }
  }
}

/** @throws JobFailure if more rows were bad than the job allows */
function checkErrors({ request, bad }: JobState, more: number): void {
  const { max_errors: most } = request;
  if (most === undefined || bad + more <= most) return;
  throw new JobFailure(`${bad + more} bad rows are more than max_errors allows (${most})`);
}

async function* asColumns(
  slices: AsyncIterable<readonly AnsweredRow[]>,
  columnsOf: (row: AnsweredRow) => Columns,
): AsyncGenerator<readonly Columns[]> {
  for await (const slice of slices) yield slice.map(columnsOf);
}

/** The first slice, and all of them from it on. */
async function peeked<T>(
  slices: AsyncGenerator<readonly T[]>,
): Promise<{ readonly first: readonly T[]; readonly all: AsyncIterable<readonly T[]> }> {
  const { value, done } = await slices.next();
  const first: readonly T[] = done === true ? [] : value;
  return { first, all: withFirst(first, slices) };
}

async function* withFirst<T>(
  first: readonly T[],
  rest: AsyncIterable<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  yield first;
  yield* rest;
}

/** Errors that every other attempt would meet, too. */
const FINAL: ReadonlySet<string> = new Set([
  'INVALID_REQUEST',
  'TASK_NOT_SUPPORTED',
  'MODEL_NOT_FOUND',
]);
/** This server cannot take a session now: another one may, or this one later. */
const NOT_NOW: ReadonlySet<string> = new Set([
  'TOO_MANY_SESSIONS',
  'MEMORY_PRESSURE',
  'SHUTTING_DOWN',
]);

function failureOf(error: unknown): unknown {
  if (!(error instanceof PlimsollError)) return error;
  if (NOT_NOW.has(error.code)) return HANDED_BACK;
  const isFinal = error instanceof InputError || FINAL.has(error.code);
  return isFinal ? new JobFailure(error.message, { cause: error }) : error;
}
