import { setMaxListeners } from 'node:events';
import type { JobShard } from '../../contract/jobs.js';
import type { RowTask } from '../../inference/row-task.js';
import type { ModelDescription } from '../../models/intake/description.js';
import { withQuickCollections } from '../../system/own-process.js';
import { InputError } from '../files/input-error.js';
import type { Writer } from '../files/place.js';
import type { Places } from '../files/places.js';
import type { Columns } from '../formats/format.js';
import { encode, type Formats } from '../formats/formats.js';
import type { RunningRows } from '../progress.js';
import {
  JobFailure,
  type JobModel,
  type JobState,
  type JobWork,
  NotNow,
  type PlanPiece,
  type Shard,
  type ShardResult,
  type ShardState,
} from '../queue/queue.js';
import { type AnsweredRow, answeredRows } from './answered-rows.js';
import { type AskedTask, askedTask, inputOf } from './asked.js';
import { checkPartsExist } from './check-parts-exist.js';
import { findExistingPart } from './existing-part.js';
import { failureOf, onRead, reading } from './failures.js';
import { manifestOf } from './manifest.js';
import { otherModel } from './other-model.js';
import { inputOptionsOf, manifestNameOf, outputOptionsOf, partNameOf, partRows } from './part.js';
import { planPieces } from './planning.js';

/** What jobs need of models. */
export interface JobModels {
  /**
   * @param of the model as the job began with it; null: it has not begun
   * @returns why this machine takes no rows for it now; undefined: it has the model, and memory
   */
  whyNot(model: string, of: JobModel | null): string | undefined;
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

interface Classifying {
  readonly model: JobModel;
  readonly task: AskedTask;
  readonly user: string;
  /** Rows so far. */
  readonly count: { rows: number; bad: number };
}

interface NamedPart {
  readonly name: string;
  readonly write: Writer['write'];
}

/** Rows that are asked together; those of four such pieces wait or run at once. */
const PIECE_ROWS = 64;
const PIECES_AT_ONCE = 4;

/** Plans jobs, runs their shards, and writes their manifests: what one machine does of them. */
export class JobRunner implements Omit<JobWork, 'whyNotTake'> {
  readonly #parts: RunnerParts;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  async pin({ request }: JobState): Promise<JobModel> {
    try {
      const { id, commit, dtype } = await this.#parts.models.about(request.model ?? '');
      return { id, commit, dtype };
    } catch (error) {
      throw failureOf(error);
    }
  }

  plan({ request }: JobState, signal: AbortSignal): AsyncGenerator<PlanPiece> {
    return planPieces(request, this.#parts, signal);
  }

  async run(job: JobState, shard: Shard, signal: AbortSignal): Promise<ShardResult> {
    // Every piece of rows that waits listens to it.
    setMaxListeners(0, signal);
    const beganMs = performance.now();
    try {
      const { description, ...model } = await this.#parts.models.about(job.request.model ?? '');
      assertSame(job.model ?? model, model);
      const name = partNameOf(job.request, shard, model);
      const writer = this.#parts.places.writer(job.request.output);
      const found = await findExistingPart(
        name,
        job.request,
        shard,
        { ...this.#parts, writer },
        signal,
      );
      const done = (of: Omit<ShardResult, 'server' | 'tookMs' | 'model'>): ShardResult => ({
        ...of,
        ...{ server: this.#parts.server, tookMs: performance.now() - beganMs, model },
      });
      if (found !== undefined && found !== 'damaged') {
        checkErrors(job, found.bad);
        return done(found);
      }
      const write = found === 'damaged' ? writer.replace.bind(writer) : writer.write.bind(writer);
      const task = askedTask(job.request, description.task);
      const of = { model, task, name, write };
      return done(await withQuickCollections(() => this.#classified(job, shard, of, signal)));
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** In a session of its own. */
  async #classified(
    job: JobState,
    shard: Shard,
    { name, write, ...of }: Pick<Classifying, 'model' | 'task'> & NamedPart,
    signal: AbortSignal,
  ): Promise<Omit<ShardResult, 'server' | 'tookMs' | 'model'>> {
    const user = `job ${job.id}`;
    const session = this.#parts.openSession(user, of.model.id, { id: job.id, shard: shard.index });
    const count = { rows: 0, bad: 0 };
    try {
      const chunks = await this.#chunks(job, shard, { ...of, user, count }, signal);
      const { bytes, sha256 } = await write(name, chunks, signal);
      await session.end(true);
      return { part: name, bytes, sha256, ...count };
    } catch (error) {
      await session.end(false);
      throw error;
    } finally {
      this.#parts.progress.ended(job.id, count.rows);
    }
  }

  async finish(
    job: JobState,
    shards: AsyncIterable<ShardState>,
    signal: AbortSignal,
  ): Promise<string> {
    checkErrors(job, 0);
    const writer = this.#parts.places.writer(job.request.output);
    // What killed attempts have left. Whether or not it can be tidied up, the job is done: some S3 servers list no uploads.
    const tidied = () => writer.tidy(signal).catch(() => 0);
    await tidied();
    // A job that is retried has another manifest in the end.
    const { output } = job.request;
    const chunks = manifestOf(job, checkPartsExist(shards, output, writer, signal));
    try {
      const { url } = await writer.replace(manifestNameOf(job.id), chunks, signal);
      await tidied();
      return url;
    } catch (error) {
      if (!(error instanceof InputError)) throw failureOf(error);
      // A part is gone, or the place may not be written to: the parts are looked at again.
      throw new JobFailure(error.message, { cause: error, plansAnew: true });
    }
  }

  /** The bytes of a part. */
  async #chunks(
    job: JobState,
    shard: Shard,
    of: Classifying,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { request } = job;
    const options = inputOptionsOf(request, shard.file);
    const format = this.#parts.formats.input(options.format);
    const types = await onRead(format.columnTypes(shard.file, options, signal));
    const slices = reading(format.read(shard.file, shard.range, options, signal));
    const answered = this.#answered(slices, request, of, signal);
    const counted = this.#counted(job, answered, of);
    const rows = asColumns(counted, partRows(request, of.task, of.model));
    return encode(rows, outputOptionsOf(request, shard.file, of.task, types));
  }

  #answered(
    slices: Parameters<typeof answeredRows>[0],
    request: JobState['request'],
    { model, task, user }: Classifying,
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
    { count, model }: Classifying,
  ): AsyncGenerator<readonly AnsweredRow[]> {
    for await (const slice of slices) {
      const bad = slice.filter((row) => 'bad' in row).length;
      count.rows += slice.length;
      count.bad += bad;
      this.#parts.progress.ran(job.id, slice.length, bad);
      checkErrors(job, count.bad);
      yield slice;
    }
    // A hub's newer commit may have come meanwhile: the part would have the scores of both.
    assertSame(model, await this.#parts.models.about(job.request.model ?? ''));
  }
}

/** @throws NotNow if this machine has the model with another commit or dtype than the job began with */
function assertSame(of: JobModel, here: JobModel): void {
  const reason = otherModel(of, here);
  if (reason !== undefined) throw new NotNow('busy', reason);
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
