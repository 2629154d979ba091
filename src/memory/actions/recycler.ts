import type { MemoryEffects, ReplaceOrder, WorkerFacts } from '../effects.js';
import type { ActionList, ReceiptJournal } from '../journal.js';
import type { MemoryReader } from '../reader.js';
import type { Receipt } from '../receipt.js';
import { collectOwnHeap } from './heap.js';

export interface RecyclerOptions {
  readonly reader: MemoryReader;
  readonly journal: ReceiptJournal;
  readonly effects: MemoryEffects;
  /** Users after which everything is recycled. */
  readonly afterUsers: number;
  /** Growth over its baseline at which a worker is replaced. */
  readonly growthLimitBytes: (baselineBytes: number) => number;
  readonly afterAgeMs: number;
  readonly onError: (line: string, error: unknown) => void;
}

/** Warm-up: a worker's memory at rest after this many batches is its baseline. */
const WARM_BATCHES = 3;

/** A recycle that falls due in a rush waits for its end, at most this long. */
const RUSH_WAIT_MS = 3000;
const RUSH_STEP_MS = 50;

/** What failed is due again after this: a worker that cannot start would cost a start at every reading. */
const FAILED_PAUSE_MS = 30_000;

/** Decides when to recycle, and does it: caches, models, workers, one at a time. */
export class Recycler {
  readonly #options: RecyclerOptions;
  readonly #baselines = new Map<string, number>();
  #usersSince = 0;
  #running: Promise<Receipt> | undefined;
  #isDue = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #replacing = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RecyclerOptions) {
    this.#options = options;
  }

  get usersSinceRecycle(): number {
    return this.#usersSince;
  }

  /** Whether everything is being recycled, or a single worker replaced. */
  get isRunning(): boolean {
    return this.#running !== undefined || this.#replacing > 0;
  }

  /**
   * Counts a user; every `afterUsers`-th triggers a recycle. New workers take CPU time from waiting callers, so in
   * a rush (a burst of new users is one) the recycle waits for its end, for three seconds at most.
   *
   * @param goesOn checked after each wait; false cancels.
   * @returns the recycle that this user triggered; undefined if none.
   */
  countUser(goesOn: () => boolean): Promise<unknown> | undefined {
    this.#usersSince += 1;
    const isEnough = this.#usersSince >= this.#options.afterUsers && !this.#isPausing;
    if (!isEnough || this.#running !== undefined || this.#isDue) return undefined;
    if (!this.#options.effects.isRushed()) return this.recycle(`${this.#usersSince} users`);
    this.#isDue = true;
    return this.#afterRush(goesOn).finally(() => {
      this.#isDue = false;
    });
  }

  async #afterRush(goesOn: () => boolean): Promise<void> {
    const endsMs = performance.now() + RUSH_WAIT_MS;
    while (this.#options.effects.isRushed() && performance.now() < endsMs) {
      await new Promise((resolve) => setTimeout(resolve, RUSH_STEP_MS));
      if (!goesOn()) return;
    }
    await this.recycle(`${this.#usersSince} users`);
  }

  /** Recycles everything; a call while one runs gets its receipt. */
  recycle(cause: string): Promise<Receipt> {
    this.#running ??= this.#recycle(cause).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /**
   * A worker that is too old, or has grown at rest over its own baseline (its memory at rest after warm-up). None for a
   * while after a replacement that failed.
   */
  findGrown(): { readonly worker: string; readonly cause: string } | undefined {
    if (this.#isPausing) return undefined;
    const { effects, reader, growthLimitBytes, afterAgeMs } = this.#options;
    const workers = effects.workers();
    const names = new Set(workers.map(({ id }) => id));
    for (const id of this.#baselines.keys()) if (!names.has(id)) this.#baselines.delete(id);
    for (const worker of workers) {
      if (worker.ageMs > afterAgeMs) return { worker: worker.id, cause: 'age' };
      if (!isAtRest(worker)) continue;
      const now = reader.last?.processes.find((of) => of.worker === worker.id)?.memory.privateBytes;
      if (now === undefined) continue;
      const baseline = this.#baselines.get(worker.id);
      if (baseline === undefined) this.#baselines.set(worker.id, now);
      else if (now - baseline > growthLimitBytes(baseline)) {
        return { worker: worker.id, cause: 'growth at rest' };
      }
    }
    return undefined;
  }

  /**
   * Replaces one worker, with a receipt.
   *
   * @throws Error if its successor does not start; the receipt says so too
   */
  async replaceOne(worker: string, cause: string): Promise<Receipt> {
    const { journal } = this.#options;
    this.#replacing += 1;
    try {
      let failure: { readonly error: unknown } | undefined;
      const receipt = await journal.record({ kind: 'recycle', cause }, async (list) => {
        failure = await this.#attempt(worker, list);
      });
      if (failure !== undefined) throw failure.error;
      return receipt;
    } finally {
      this.#replacing -= 1;
    }
  }

  get #isPausing(): boolean {
    return performance.now() < this.#notBeforeMs;
  }

  /** @returns what it failed with, if it failed */
  async #attempt(worker: string, list: ActionList) {
    const work = () => this.replace(worker, list);
    const failure = await list.attempt('replace_worker', { worker }, work);
    if (failure !== undefined) this.#notBeforeMs = performance.now() + FAILED_PAUSE_MS;
    return failure;
  }

  /**
   * Replaces a worker as one step of a receipt. One at a time: otherwise a worker that is replaced twice at once
   * would get two successors.
   *
   * @param order by default, as the load line allows.
   * @param hot model that the new worker opens in the hot gear.
   */
  replace(worker: string, list: ActionList, order?: ReplaceOrder, hot?: string): Promise<void> {
    const turn = this.#turn.then(() => this.#replace(worker, list, order ?? this.#order(), hot));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Everything that can be recycled is; if some of it failed, the users who made it due still count. */
  async #recycle(cause: string): Promise<Receipt> {
    const { journal, effects, onError } = this.#options;
    const users = this.#usersSince;
    this.#usersSince = 0;
    let isWhole = true;
    const receipt = await journal.record({ kind: 'recycle', cause }, async (list) => {
      await list.step('clear_caches', {}, async () => [{ freedBytes: effects.clearCaches() }]);
      // Replacing every worker also unloads every model.
      for (const { id } of effects.workers()) {
        const failure = await this.#attempt(id, list);
        if (failure === undefined) continue;
        isWhole = false;
        onError(`${id} was not replaced`, failure.error);
      }
      // A full collection would delay requests that run meanwhile.
      const isBusy = effects.workers().some(({ idle }) => !idle);
      await list.step('collect_garbage', {}, () => collectOwnHeap(isBusy ? 'gently' : 'all'));
    });
    if (!isWhole) this.#usersSince += users;
    return receipt;
  }

  /** Whether the line has room for a worker and its successor at once. */
  get canOverlap(): boolean {
    return this.#order() === 'start first';
  }

  async #replace(
    worker: string,
    list: ActionList,
    order: ReplaceOrder,
    hot: string | undefined,
  ): Promise<void> {
    const { effects } = this.#options;
    // It may have been replaced or died while this waited for its turn.
    if (!effects.workers().some(({ id }) => id === worker)) return;
    await list.step('replace_worker', {}, async () => [
      { ...(await effects.replaceWorker(worker, order, hot)), worker },
    ]);
  }

  /** Old and new overlap only if the load line has room for both. */
  #order(): ReplaceOrder {
    const { reader } = this.#options;
    const snapshot = reader.last;
    if (snapshot === undefined) return 'start first';
    const workers = snapshot.processes.filter(({ role }) => role === 'worker');
    const largest = Math.max(0, ...workers.map(({ memory }) => memory.privateBytes));
    const room = reader.loadLineBytes(snapshot) - reader.loadBytes(snapshot);
    return room > largest ? 'start first' : 'leave first';
  }
}

function isAtRest(worker: WorkerFacts): boolean {
  return worker.idle && worker.models.length === 0 && worker.completedBatches >= WARM_BATCHES;
}
