import { messageOf } from '../../../errors.js';
import { pause } from '../../../system/pause.js';
import type { Deliveries, Delivery } from '../engines/deliveries.js';
import { JobForgotten } from '../engines/ledger.js';
import { type Entry, isSameShard, MAX_SHARDS_OF_PIECE, partsOf } from '../journal/entries.js';
import type { LiveJob, LiveJobs } from '../journal/live-jobs.js';
import { allShards } from '../journal/shard-states.js';
import type { Tally } from '../journal/tally.js';
import {
  HANDED_BACK,
  JobFailure,
  type JobState,
  type JobWork,
  NotNow,
  type PlannedShard,
  type PlanPiece,
  ShardFailure,
  type ShardState,
} from '../queue.js';
import { pauseAfter, stateOf } from '../rules.js';
import type { Pauses } from './pauses.js';

export interface TaskParts {
  readonly work: JobWork;
  readonly jobs: LiveJobs;
  readonly deliveries: Deliveries;
  readonly server: string;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  readonly pauses: Pauses;
  /** There may be something to take. */
  readonly wake: () => void;
  /** Notes that a job has ended, if it has. */
  readonly closeIfEnded: (job: LiveJob) => Promise<void>;
}

/** A result is kept for this long while the engine is away; then the shard is done anew. */
const INSIST_TRIES = 600;
const INSIST_PAUSE_MS = 1000;
const LOST_REASON = 'the machines that ran it were lost, one after another';
/** An engine that came back without what it had acknowledged; whoever notices puts the task back, and the job goes on from what there is. */
const ENTRIES_LOST = 'the queue has lost entries of the job: what they told is done again';
const PLAN_CHANGED =
  'the input has changed while it was planned: retry the job, which lists the input again and keeps the parts that still hold';

/**
 * Works on one task.
 *
 * 1. A task that may not be attempted any more is set aside: the shard, or with a step the whole job.
 * 2. Work that is aborted is put back, and was no attempt. If the lock was lost that changes nothing.
 * 3. So is what cannot go on now, for a while; unless that has lasted for too long.
 * 4. A {@link JobFailure} ends the job, a {@link ShardFailure} sets the shard aside.
 * 5. Any other error is a failed attempt.
 */
export async function runTask(
  parts: TaskParts,
  delivery: Delivery,
  job: LiveJob,
  isLast: boolean,
  signal: AbortSignal,
): Promise<void> {
  const run = new TaskRun(parts, delivery, job, signal);
  try {
    if (isLast) return await run.setAside(lastReason(delivery), attemptsOf(delivery)); // 1
    let entry: Entry;
    try {
      entry = await run.work();
    } catch (error) {
      return await run.failed(error);
    }
    parts.pauses.wentWell(delivery.task);
    await run.through(entry);
  } catch (error) {
    // The job began anew, or is forgotten: its tasks are, too.
    if (!(error instanceof JobForgotten)) throw error;
  }
}

function attemptsOf({ failedAttempts, lostMachines }: Delivery): number {
  return failedAttempts + lostMachines;
}

function lastReason({ reason, lostMachines, failedAttempts }: Delivery): string {
  return reason === null || lostMachines > failedAttempts ? LOST_REASON : reason;
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

  /** What becomes of the task whose work threw that: see {@link runTask}. */
  async failed(error: unknown): Promise<void> {
    const { deliveries, pauses } = this.#parts;
    const delivery = this.#delivery;
    if (this.#signal.aborted || error === HANDED_BACK) return deliveries.putBack(delivery); // 2
    if (error instanceof JobForgotten) throw error;
    if (error instanceof NotNow) {
      const pauseMs = pauses.notNow(delivery.task, error); // 3
      if (pauseMs !== undefined) return deliveries.putBack(delivery, pauseMs);
    }
    if (error instanceof JobFailure) return this.breakJob(error.message, error.plansAnew); // 4
    if (error instanceof ShardFailure && delivery.task.kind === 'shard') {
      return this.setAside(error.message, attemptsOf(delivery) + 1, true);
    }
    return this.attemptFailed(messageOf(error) || 'unknown'); // 5
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
    if (failed >= attempts) return this.setAside(reason, attemptsOf(this.#delivery) + 1);
    await deliveries.failed(this.#delivery, reason, pauseAfter(failed, backoffMs));
  }

  /** @param anew whether a retry has to plan anew */
  async setAside(reason: string, attempts: number, anew = false): Promise<void> {
    const { kind, shard } = this.#delivery.task;
    const { server, now } = this.#parts;
    if (kind !== 'shard') return this.through({ kind: 'broken', atMs: now(), reason });
    await this.through({ ...{ kind: 'failed', shard, reason, attempts, server }, ...flag(anew) });
  }

  /** The shard, if it was one, is for a retry. */
  async breakJob(reason: string, anew: boolean): Promise<void> {
    const { jobs, deliveries, now, closeIfEnded, wake } = this.#parts;
    await this.#insist(() =>
      jobs.append(this.#job.record, [{ kind: 'broken', atMs: now(), reason, ...flag(anew) }]),
    );
    if (this.#delivery.task.kind === 'shard') await deliveries.putBack(this.#delivery);
    else await deliveries.settle(this.#delivery);
    await closeIfEnded(this.#job);
    wake();
  }

  async #plan(): Promise<Entry> {
    const { jobs, work, now } = this.#parts;
    const { record } = this.#job;
    if (this.#tally.startedAtMs === null || this.#tally.model === null) {
      const model = await work.pin(this.#state);
      await jobs.append(record, [{ kind: 'began', atMs: now(), model }]);
    }
    const { known } = this.#tally;
    await this.#offer(Math.max(0, known - MAX_SHARDS_OF_PIECE), known);
    let count = 0;
    for await (const piece of work.plan(this.#state, this.#signal)) {
      this.#signal.throwIfAborted();
      count = Math.max(count, (piece.shards.at(-1)?.index ?? -1) + 1);
      await this.#addPiece(piece);
    }
    this.#signal.throwIfAborted();
    if (count < this.#tally.known) throw new JobFailure(PLAN_CHANGED, { plansAnew: true });
    if (count > this.#tally.known) throw new NotNow('busy', ENTRIES_LOST);
    return { kind: 'planned', shards: count };
  }

  /**
   * The shards that are not known yet. They are noted first, so that the machine that is given one finds its range. Those that an
   * interrupted planning has noted must be the same: rows would be missing or double otherwise. So would they if shards were noted
   * behind others that the engine has lost.
   */
  async #addPiece({ shards, files, bytes }: PlanPiece): Promise<void> {
    const { jobs, wake, server } = this.#parts;
    const { record } = this.#job;
    const noted = this.#tally.known;
    for (const shard of shards.filter(({ index }) => index < noted)) {
      const known = await jobs.shard(this.#job, shard.index);
      if (known === undefined) throw new NotNow('busy', ENTRIES_LOST);
      if (!isSameShard(known, shard)) throw new JobFailure(PLAN_CHANGED, { plansAnew: true });
    }
    const fresh = shards.filter(({ index }) => index >= noted);
    for (const some of slices(fresh, MAX_SHARDS_OF_PIECE)) {
      const first = this.#tally.known;
      if ((some[0]?.index ?? first) !== first) throw new NotNow('busy', ENTRIES_LOST);
      const parts = partsOf(some);
      const failed = some.flatMap(({ index: shard, failed: reason }): readonly Entry[] =>
        reason === undefined
          ? []
          : [{ kind: 'failed', shard, reason, attempts: 1, server, anew: true }],
      );
      await jobs.append(record, [{ kind: 'piece', first, parts, files, bytes }, ...failed]);
      await this.#offer(first, this.#tally.known);
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
    const { work, now } = this.#parts;
    const manifest = await work.finish(this.#state, this.#outcomes(), this.#signal);
    return { kind: 'finished', atMs: now(), manifest };
  }

  /**
   * Every shard with its result, or why it has none.
   *
   * @throws NotNow where one has neither: a manifest would say that its rows have no part
   */
  async *#outcomes(): AsyncGenerator<ShardState> {
    const { jobs, deliveries } = this.#parts;
    const refuse = async () => {
      await jobs.again(this.#job.record);
      throw new NotNow('busy', ENTRIES_LOST);
    };
    let count = 0;
    for await (const shard of allShards(jobs, deliveries, this.#job)) {
      if (shard.state !== 'done' && shard.state !== 'failed') await refuse();
      count += 1;
      yield shard;
    }
    await jobs.current(this.#job.record);
    if (!this.#tally.isSettled || count !== this.#tally.known) await refuse();
  }

  get #tally(): Tally {
    return this.#job.tally;
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
        const isOver = this.#signal.aborted || error instanceof JobForgotten;
        if (isOver || tries >= INSIST_TRIES) throw error;
        if (tries === 1) this.#parts.onError(error);
        await pause(INSIST_PAUSE_MS, this.#signal);
      }
    }
  }
}

function flag(anew: boolean): { readonly anew?: true } {
  return anew ? { anew } : {};
}

function* slices(
  shards: readonly PlannedShard[],
  size: number,
): Generator<readonly PlannedShard[]> {
  // At least one, without shards perhaps: a piece tells how much input there is, too.
  for (let at = 0; at === 0 || at < shards.length; at += size) yield shards.slice(at, at + size);
}
