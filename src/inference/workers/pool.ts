import { replyLimit } from './time-limit.js';
import { type WarmUp, Worker } from './worker.js';
import type { WorkerOptions } from './worker-options.js';

export interface PoolOptions {
  readonly count: number;
  readonly module: string;
  readonly startTimeoutMs: number;
  /** Time for an answer to a message that runs no model; an idle worker is checked twice as often. */
  readonly replyTimeoutMs?: number;
  /** A busy worker with more private bytes is ended: its batch allocates without bound. */
  readonly mostPrivateBytes?: number;
  readonly restartBackoffMs: number;
  readonly graceMs: number;
  /** A worker became ready or ended: there may be work to hand out or to retry. */
  readonly onChange: () => void;
  readonly onDeath: (worker: Worker, reason: string) => void;
  /** A worker has moved a model to the hot gear. */
  readonly onShift?: (worker: Worker, model: string) => void;
  readonly log: (line: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** The wait before a restart doubles with each early death, up to this many times the first. */
const MAX_BACKOFF_FACTOR = 100;

/** Keeps the number of worker processes: replaces those that die. */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<Worker>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #heartbeat: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #earlyDeaths = 0;
  /** Workers that leave before their successors are started. */
  #successorsToCome = 0;
  #nextName = 1;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Every worker with a process. */
  get workers(): readonly Worker[] {
    return [...this.#workers];
  }

  /** A new user has joined a session. */
  countUser(): void {
    for (const worker of this.#workers) worker.countUser();
  }

  find(id: string): Worker | undefined {
    return this.workers.find((worker) => worker.id === id);
  }

  /**
   * Starts the workers.
   *
   * @throws Error if none of them becomes ready.
   */
  async start(): Promise<void> {
    const { count, replyTimeoutMs } = this.#options;
    this.#heartbeat ??= setInterval(() => {
      for (const worker of this.#workers) worker.checkAlive();
    }, replyLimit(replyTimeoutMs).budgetMs / 2).unref();
    const workers = Array.from({ length: count }, () => this.#spawn());
    const starts = await Promise.allSettled(workers.map((worker) => worker.started()));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined && starts.every((start) => start.status === 'rejected')) {
      throw new Error(`no worker could be started: ${String(failed.reason)}`);
    }
  }

  /** Ends every worker; a running batch may finish within the grace time, and so may the process. */
  stop(graceMs = this.#options.graceMs): Promise<void> {
    this.#stopping ??= this.#stopAll(graceMs);
    return this.#stopping;
  }

  /**
   * Replaces one worker without losing the work it holds.
   *
   * @param order `start first`: no gap in service; both exist for a moment, and the new one starts at a low
   * priority. `leave first`: never more memory than before, but one worker fewer for a moment.
   * @param warmUp runs in the new worker before it counts as ready.
   * @throws Error if the new worker does not start (with `start first` the old one stays), or if the pool
   * is stopping.
   */
  async replace(
    old: Worker,
    order: 'start first' | 'leave first',
    warmUp?: WarmUp,
  ): Promise<Worker> {
    try {
      if (order === 'leave first') return await this.#leaveFirst(old);
      const fresh = await this.#startFresh(warmUp, true);
      await this.#retire(old);
      return fresh;
    } finally {
      // Another worker may have died meanwhile, and was not replaced because the old one was still there.
      this.#refill();
    }
  }

  async #leaveFirst(old: Worker): Promise<Worker> {
    this.#refuseWhileStopping();
    this.#successorsToCome += 1;
    try {
      await this.#retire(old);
    } finally {
      // Nothing is awaited from here until the successor is there to be counted itself.
      this.#successorsToCome -= 1;
    }
    return this.#startFresh();
  }

  async #startFresh(warmUp?: WarmUp, lowPriority = false): Promise<Worker> {
    this.#refuseWhileStopping();
    const fresh = this.#spawn(warmUp, lowPriority);
    await fresh.started();
    return fresh;
  }

  #refuseWhileStopping(): void {
    if (this.#stopping !== undefined) throw new Error('the workers are being stopped');
  }

  async #retire(worker: Worker, graceMs = this.#options.graceMs): Promise<void> {
    worker.leave();
    await untilIdle(worker, graceMs);
    await worker.stop(graceMs);
  }

  #spawn(warmUp?: WarmUp, lowPriority = false): Worker {
    const { module, startTimeoutMs, replyTimeoutMs, mostPrivateBytes, onShift } = this.#options;
    const options: WorkerOptions<Worker> = {
      id: `worker-${this.#nextName++}`,
      module,
      startTimeoutMs,
      lowPriority,
      onExit: (worker, reason) => this.#onExit(worker, reason),
      onFree: () => this.#options.onChange(),
      ...(onShift === undefined ? {} : { onShift }),
      ...(replyTimeoutMs === undefined ? {} : { replyTimeoutMs }),
      ...(mostPrivateBytes === undefined ? {} : { mostPrivateBytes }),
    };
    const worker = new Worker(options, warmUp);
    this.#workers.add(worker);
    worker.started().then(
      () => this.#options.onChange(),
      () => undefined,
    );
    return worker;
  }

  #onExit(worker: Worker, reason: string): void {
    const expected = this.#stopping !== undefined || worker.left;
    this.#workers.delete(worker);
    this.#options.onChange();
    if (expected) return;
    this.#options.onDeath(worker, reason);
    // A text or a model that ends workers must not keep them from being replaced.
    this.#earlyDeaths = worker.hasWorked ? 0 : this.#earlyDeaths + 1;
    const factor = worker.hasWorked ? 0 : 2 ** (this.#earlyDeaths - 1);
    const waitMs = this.#options.restartBackoffMs * Math.min(MAX_BACKOFF_FACTOR, factor);
    this.#options.log('worker ended, starting another', { worker: worker.id, reason, waitMs });
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#refill();
    }, waitMs);
    this.#timers.add(timer);
  }

  /** Starts the workers that are missing, except those that wait for their restart, and successors that somebody else starts. */
  #refill(): void {
    if (this.#stopping !== undefined) return;
    const living = this.workers.filter(({ state }) => state !== 'leaving').length;
    const toCome = this.#timers.size + this.#successorsToCome;
    const missing = this.#options.count - living - toCome;
    for (let n = 0; n < missing; n += 1) this.#spawn();
  }

  async #stopAll(graceMs: number): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.workers.map((worker) => this.#retire(worker, graceMs)));
  }
}

/** Waits until the worker has answered its batches, is gone, or `graceMs` is over. */
async function untilIdle(worker: Worker, graceMs: number): Promise<void> {
  if (worker.running === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  await Promise.race([worker.drained(), worker.exited(), late]);
  clearTimeout(timer);
}
