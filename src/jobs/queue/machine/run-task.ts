import { messageOf } from '../../../errors.js';
import { pause } from '../../../system/pause.js';
import type { Deliveries, Delivery } from '../engines/deliveries.js';
import { type Entry, MAX_SHARDS_OF_PIECE, partsOf } from '../journal/entries.js';
import type { LiveJob, LiveJobs } from '../journal/live-jobs.js';
import { allShards } from '../journal/shard-states.js';
import {
  HANDED_BACK,
  JobFailure,
  type JobState,
  type JobWork,
  type PlanPiece,
  type Shard,
} from '../queue.js';
import { pauseAfter, stateOf } from '../rules.js';

export interface TaskParts {
  readonly work: JobWork;
  readonly jobs: LiveJobs;
  readonly deliveries: Deliveries;
  readonly server: string;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  /** There may be something to take. */
  readonly wake: () => void;
  /** Notes that a job has ended, if it has. */
  readonly closeIfEnded: (job: LiveJob) => Promise<void>;
}

/** A result is kept for this long while the engine is away; then the shard is done anew. */
const INSIST_TRIES = 600;
const INSIST_PAUSE_MS = 1000;
const LOST_REASON = 'the machine that ran it was lost';

/**
 * Works on one task.
 *
 * 1. A task that may not be attempted any more is set aside: the shard, or with a step the whole job.
 * 2. Work that is aborted is put back, and was no attempt. If the lock was lost that changes nothing.
 * 3. A {@link JobFailure} ends the job.
 * 4. Any other error is a failed attempt.
 */
export async function runTask(
  parts: TaskParts,
  delivery: Delivery,
  job: LiveJob,
  isLast: boolean,
  signal: AbortSignal,
): Promise<void> {
  const run = new TaskRun(parts, delivery, job, signal);
  if (isLast) return run.setAside(delivery.reason ?? LOST_REASON, delivery.failedAttempts); // 1
  let entry: Entry | undefined;
  try {
    entry = await run.work();
  } catch (error) {
    const isHandedBack = signal.aborted || error === HANDED_BACK;
    if (isHandedBack) return parts.deliveries.putBack(delivery); // 2
    if (error instanceof JobFailure) return run.breakJob(error.message); // 3
    return run.attemptFailed(messageOf(error) || 'unknown'); // 4
  }
  await run.through(entry);
}

class TaskRun {
  readonly #parts: TaskParts;
  readonly #delivery: Delivery;
  readonly #job: LiveJob;
  readonly #signal: AbortSignal;

  constructor(parts: TaskParts, delivery: Delivery, job: LiveJob, signal: AbortSignal) {
    this.#parts = parts;
    this.#delivery = delivery;
    this.#job = job;
    this.#signal = signal;
  }

  /** @returns what to note when it is through */
  work(): Promise<Entry> {
    const { kind } = this.#delivery.task;
    if (kind === 'plan') return this.#plan();
    return kind === 'finish' ? this.#finish() : this.#shard();
  }

  /** Notes the outcome, and forgets the task. The manifest is next if this was the last shard. */
  async through(entry: Entry): Promise<void> {
    const { jobs, deliveries, wake, closeIfEnded } = this.#parts;
    const job = this.#job;
    await this.#insist(() => jobs.append(job.record, [entry]));
    if (job.tally.isSettled && !job.tally.hasEnded) {
      await deliveries.offer([{ job: job.record.id, kind: 'finish', shard: -1 }]);
    }
    await deliveries.settle(this.#delivery);
    await closeIfEnded(job);
    wake();
  }

  async attemptFailed(reason: string): Promise<void> {
    const { deliveries, attempts, backoffMs } = this.#parts;
    const failed = this.#delivery.failedAttempts + 1;
    if (failed >= attempts) return this.setAside(reason, failed);
    await deliveries.failed(this.#delivery, reason, pauseAfter(failed, backoffMs));
  }

  async setAside(reason: string, attempts: number): Promise<void> {
    const { kind, shard } = this.#delivery.task;
    const { server, now } = this.#parts;
    if (kind !== 'shard') return this.through({ kind: 'broken', atMs: now(), reason });
    await this.through({ kind: 'failed', shard, reason, attempts, server });
  }

  /** The shard, if it was one, is for a retry. */
  async breakJob(reason: string): Promise<void> {
    const { jobs, deliveries, now, closeIfEnded, wake } = this.#parts;
    await this.#insist(() =>
      jobs.append(this.#job.record, [{ kind: 'broken', atMs: now(), reason }]),
    );
    if (this.#delivery.task.kind === 'shard') await deliveries.putBack(this.#delivery);
    else await deliveries.settle(this.#delivery);
    await closeIfEnded(this.#job);
    wake();
  }

  async #plan(): Promise<Entry> {
    const { jobs, work, now } = this.#parts;
    const { record, tally } = this.#job;
    if (tally.startedAtMs === null) await jobs.append(record, [{ kind: 'began', atMs: now() }]);
    await this.#offer(Math.max(0, tally.known - MAX_SHARDS_OF_PIECE), tally.known);
    for await (const piece of work.plan(this.#state, this.#signal)) {
      this.#signal.throwIfAborted();
      await this.#addPiece(piece);
    }
    this.#signal.throwIfAborted();
    return { kind: 'planned' };
  }

  /** The shards that are not known yet. They are noted first, so that who is given one finds its range. */
  async #addPiece({ shards, files, bytes }: PlanPiece): Promise<void> {
    const { jobs, wake } = this.#parts;
    const { record, tally } = this.#job;
    const fresh = shards.filter(({ index }) => index >= tally.known);
    for (const some of slices(fresh, MAX_SHARDS_OF_PIECE)) {
      const first = tally.known;
      const parts = partsOf(some);
      await jobs.append(record, [{ kind: 'piece', first, parts, files, bytes }]);
      await this.#offer(first, tally.known);
      wake();
    }
  }

  /** What was noted last may not have been offered by a planner that was lost: it is offered again. */
  async #offer(from: number, to: number): Promise<void> {
    const { record, tally } = this.#job;
    const tasks = [];
    for (let shard = from; shard < to; shard += 1) {
      if (tally.outcomeOf(shard) !== undefined) continue;
      tasks.push({ job: record.id, kind: 'shard', shard } as const);
    }
    if (tasks.length > 0) await this.#parts.deliveries.offer(tasks);
  }

  async #shard(): Promise<Entry> {
    const index = this.#delivery.task.shard;
    const shard = await this.#parts.jobs.shard(this.#job, index);
    if (shard === undefined) throw new Error(`shard ${index} is not in the job’s journal`);
    const result = await this.#parts.work.run(this.#state, shard, this.#signal);
    return { kind: 'done', shard: index, result };
  }

  async #finish(): Promise<Entry> {
    const { work, jobs, deliveries, now } = this.#parts;
    const shards = allShards(jobs, deliveries, this.#job);
    const manifest = await work.finish(this.#state, shards, this.#signal);
    return { kind: 'finished', atMs: now(), manifest };
  }

  get #state(): JobState {
    const { kind } = this.#delivery.task;
    return stateOf(this.#job.record, this.#job.tally, kind === 'shard' ? 1 : 0);
  }

  /** An engine that is away comes back: meanwhile the result is kept. */
  async #insist(note: () => Promise<unknown>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await note();
        return;
      } catch (error) {
        if (this.#signal.aborted || tries >= INSIST_TRIES) throw error;
        if (tries === 1) this.#parts.onError(error);
        await pause(INSIST_PAUSE_MS, this.#signal);
      }
    }
  }
}

function* slices(shards: readonly Shard[], size: number): Generator<readonly Shard[]> {
  // At least one, without shards perhaps: a piece tells how much input there is, too.
  for (let at = 0; at === 0 || at < shards.length; at += size) yield shards.slice(at, at + size);
}
