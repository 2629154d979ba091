import type { Deliveries, Delivery } from '../engines/deliveries.js';
import type { LiveJob, LiveJobs } from '../journal/live-jobs.js';
import { HANDED_BACK, type JobWork } from '../queue.js';
import { stateOf, verdictOn } from '../rules.js';
import { Pauses } from './pauses.js';
import { runTask, type TaskParts } from './run-task.js';

/** Why the work on a task is aborted although this server goes on. */
export const ENDED = new Error('the job has ended');
export const LOST = new Error('another machine was given this shard: this one was taken for lost');

/** A job without news is looked at this often, and `whyNotTake` is asked again. */
const LOOK_MS = 1000;
/** Plans and manifests at once, beside the shards. */
const STEPS_AT_ONCE = 2;

export interface MachineParts extends Omit<TaskParts, 'work' | 'pauses'> {
  readonly deliveries: Deliveries;
  readonly jobs: LiveJobs;
  /** Jobs that are open, as of now. */
  readonly openJobs: () => Promise<readonly LiveJob[]>;
  readonly attempts: number;
  readonly lockMs: number;
}

interface Held {
  readonly delivery: Delivery;
  readonly job: LiveJob;
  readonly abort: AbortController;
  readonly through: Promise<void>;
}

/** Takes tasks for this server and works on them, some at once. */
export class Machine {
  readonly #parts: MachineParts;
  readonly #work: JobWork;
  readonly #atOnce: number;
  readonly #held = new Set<Held>();
  readonly #pauses: Pauses;
  /** By job: why nothing of it was taken at the last look. */
  readonly #reasons = new Map<string, string>();
  /** Where the last turn began: jobs are served in turns. */
  #turn = 0;
  #stopping = false;
  #wake: () => void = () => undefined;
  #news = false;
  #looping: Promise<void> | undefined;
  #renewing: NodeJS.Timeout | undefined;
  #renewal: Promise<void> | undefined;

  constructor(parts: MachineParts, work: JobWork, atOnce: number) {
    this.#parts = parts;
    this.#work = work;
    this.#atOnce = atOnce;
    this.#pauses = new Pauses(parts.now);
  }

  /** Why this server takes nothing of an open job now; undefined if it would. */
  whyIdle(job: string): string | undefined {
    return this.#pauses.lastReasonOf(job) ?? this.#reasons.get(job);
  }

  start(): void {
    this.#looping ??= this.#loop();
    const everyMs = Math.min(LOOK_MS, this.#parts.lockMs / 4);
    this.#renewing ??= setInterval(() => {
      this.#renewal ??= this.#renew().finally(() => {
        this.#renewal = undefined;
      });
    }, everyMs);
  }

  /** There may be something to take, or a job has ended. */
  wake(): void {
    this.#news = true;
    this.#wake();
  }

  /** Takes no more, aborts what runs, and puts it back. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.wake();
    for (const { abort } of this.#held) abort.abort(HANDED_BACK);
    await this.#looping;
    for (const { abort } of this.#held) abort.abort(HANDED_BACK);
    await Promise.all([...this.#held].map(({ through }) => through));
    clearInterval(this.#renewing);
    await this.#renewal;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      this.#news = false;
      try {
        await this.#look();
      } catch (error) {
        this.#parts.onError(error);
      }
      await this.#sleep();
    }
  }

  /** Until there is news, or for a second. */
  async #sleep(): Promise<void> {
    if (this.#news || this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  async #look(): Promise<void> {
    const { deliveries, openJobs } = this.#parts;
    const open = new Map((await openJobs()).map((job) => [job.record.id, job]));
    this.#abortEnded(open);
    this.#forgetReasons(open);
    // A server whose jobs have all ended asks no more of the engine, and pays for no library of one before the first.
    if (open.size === 0) return;
    await deliveries.recover([...open.keys()]);
    while (this.#freeSteps > 0 && !this.#stopping) {
      const delivery = await deliveries.takeStep();
      if (delivery === undefined) break;
      await this.#begin(delivery, open.get(delivery.task.job));
    }
    await this.#takeShards([...open.values()]);
  }

  /** One shard of each job in turn, as long as there is room. */
  async #takeShards(jobs: readonly LiveJob[]): Promise<void> {
    let took = true;
    while (took && this.#freeShards > 0 && !this.#stopping) {
      took = false;
      this.#turn += 1;
      for (let n = 0; n < jobs.length && this.#freeShards > 0; n += 1) {
        const job = jobs[(this.#turn + n) % jobs.length];
        if (job !== undefined && (await this.#takeShard(job))) took = true;
      }
    }
  }

  async #takeShard(job: LiveJob): Promise<boolean> {
    const { tally, record } = job;
    if (this.#stopping || tally.hasEnded || tally.startedAtMs === null) return false;
    if (this.#pauses.reasonOf(record.id) !== undefined) return false;
    const reason = this.#work.whyNotTake(stateOf(record, tally, this.#runningOf(record.id)));
    if (reason === undefined) this.#reasons.delete(record.id);
    else this.#reasons.set(record.id, reason);
    if (reason !== undefined) return false;
    const delivery = await this.#parts.deliveries.takeShard(record.id);
    if (delivery === undefined) return false;
    await this.#begin(delivery, job);
    return true;
  }

  /**
   * Runs a task that was given, unless the job's journal says that it must not.
   *
   * 1. A job that was opened since the last look is looked for. (A task that is put back comes again at once: without the job that
   *    would never end.)
   * 2. A step of a job that has ended is begun anew by a retry.
   */
  async #begin(delivery: Delivery, known: LiveJob | undefined): Promise<void> {
    const { deliveries, jobs, openJobs, attempts, onError } = this.#parts;
    try {
      const isSame = ({ record }: LiveJob) => record.id === delivery.task.job;
      const job = known ?? (await openJobs()).find(isSame); // 1
      if (job === undefined) return await deliveries.settle(delivery); // 2
      await jobs.current(job.record);
      const verdict = verdictOn(delivery.task, delivery, job.tally, attempts);
      if (verdict === 'drop') return await this.#drop(delivery, job);
      if (verdict === 'put back' || this.#stopping) return await deliveries.putBack(delivery);
      this.#run(delivery, job, verdict === 'set aside');
    } catch (error) {
      // Its lock ends, and somebody is given it again.
      onError(error);
    }
  }

  /** Who noted the last outcome may have been lost before it could offer the manifest. */
  async #drop(delivery: Delivery, { tally, record }: LiveJob): Promise<void> {
    const { deliveries } = this.#parts;
    if (tally.isSettled && !tally.hasEnded && delivery.task.kind !== 'finish') {
      await deliveries.offer([{ job: record.id, kind: 'finish', shard: -1 }]);
      this.wake();
    }
    await deliveries.settle(delivery);
  }

  #run(delivery: Delivery, job: LiveJob, isLast: boolean): void {
    const abort = new AbortController();
    const parts: TaskParts = { ...this.#parts, work: this.#work, pauses: this.#pauses };
    const through = runTask(parts, delivery, job, isLast, abort.signal)
      .catch((error: unknown) => this.#parts.onError(error))
      .finally(() => {
        this.#held.delete(held);
        this.wake();
      });
    const held: Held = { delivery, job, abort, through };
    this.#held.add(held);
  }

  /** Jobs that others ended too: each is looked at every second. */
  #abortEnded(open: ReadonlyMap<string, LiveJob>): void {
    for (const { delivery, job: of, abort } of this.#held) {
      const job = open.get(delivery.task.job);
      const beganAnew = job !== undefined && job.record.createdAtMs !== of.record.createdAtMs;
      if (job === undefined || job.tally.hasEnded || beganAnew) abort.abort(ENDED);
    }
  }

  #forgetReasons(open: ReadonlyMap<string, LiveJob>): void {
    this.#pauses.keepOnly((job) => open.has(job));
    for (const job of this.#reasons.keys()) if (!open.has(job)) this.#reasons.delete(job);
  }

  async #renew(): Promise<void> {
    const held = [...this.#held];
    if (held.length === 0) return;
    try {
      const lost = new Set(
        await this.#parts.deliveries.renew(held.map(({ delivery }) => delivery)),
      );
      for (const { delivery, abort } of held) if (lost.has(delivery)) abort.abort(LOST);
    } catch {
      // The engine is away; taking the next shard tells.
    }
  }

  #runningOf(job: string): number {
    let count = 0;
    for (const { delivery } of this.#held) {
      if (delivery.task.kind === 'shard' && delivery.task.job === job) count += 1;
    }
    return count;
  }

  get #freeShards(): number {
    const shards = [...this.#held].filter(({ delivery }) => delivery.task.kind === 'shard');
    return this.#atOnce - shards.length;
  }

  get #freeSteps(): number {
    const steps = [...this.#held].filter(({ delivery }) => delivery.task.kind !== 'shard');
    return STEPS_AT_ONCE - steps.length;
  }
}
