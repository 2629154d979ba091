import { PlimsollError } from '../errors.js';
import type { Connector, Lease, PoolFigures, PoolLimits } from './pool.js';
import { PoolStatistics } from './pool-statistics.js';

interface Slot<C> {
  readonly connection: C;
  readonly openedAtMs: number;
  /** {@link ConnectionPool.replaceAll} begins a new one. */
  readonly generation: number;
  idleSinceMs: number;
}

interface Waiter<C> {
  readonly sinceMs: number;
  readonly give: (slot: Slot<C>) => void;
  readonly fail: (error: unknown) => void;
}

const SHORTEST_SWEEP_MS = 20;
const LONGEST_SWEEP_MS = 10_000;

/**
 * Connections to one server. Opens them on demand, lends each to one user at a time, first come first
 * served, and closes those that are idle, old or broken.
 */
export class ConnectionPool<C> {
  readonly #name: string;
  readonly #limits: PoolLimits;
  readonly #connector: Connector<C>;
  readonly #now: () => number;
  readonly #sweeper: NodeJS.Timeout;
  readonly #slots = new Set<Slot<C>>();
  /** Used as a stack: the most recently used one is lent first, so that the others become idle and close. */
  readonly #idle: Slot<C>[] = [];
  readonly #waiters: Waiter<C>[] = [];
  readonly #closings = new Set<Promise<void>>();
  #opening = 0;
  #checking = 0;
  /** Connections above the minimum that were in use at the last shrink and are not released yet. */
  #surplus = 0;
  #generation = 0;
  #closed = false;
  #whenEmpty: (() => void) | undefined;
  #ending: Promise<void> | undefined;
  readonly #statistics = new PoolStatistics();

  constructor(
    name: string,
    limits: PoolLimits,
    connector: Connector<C>,
    now: () => number = () => performance.now(),
  ) {
    this.#name = name;
    this.#limits = limits;
    this.#connector = connector;
    this.#now = now;
    const shortest = Math.min(limits.idleMs, limits.lifetimeMs) / 2;
    const everyMs = Math.max(SHORTEST_SWEEP_MS, Math.min(LONGEST_SWEEP_MS, shortest));
    this.#sweeper = setInterval(() => this.sweep(), everyMs).unref();
  }

  /**
   * Runs `work` with a connection of its own.
   *
   * @throws PlimsollError `POOL_EXHAUSTED` after `waitMs`; the error of opening a connection, or of `work`.
   */
  async use<T>(work: (connection: C) => Promise<T>): Promise<T> {
    const lease = await this.acquire();
    try {
      return await work(lease.connection);
    } finally {
      lease.release();
    }
  }

  /** Like {@link use}, for callers that release the connection themselves. */
  async acquire(): Promise<Lease<C>> {
    const slot = await this.#wait();
    let held = true;
    const release = (): void => {
      if (held) this.#release(slot);
      held = false;
    };
    return { connection: slot.connection, release };
  }

  get figures(): PoolFigures {
    const idle = this.#idle.length;
    return {
      name: this.#name,
      min: this.#limits.min,
      max: this.#limits.max,
      open: this.#slots.size,
      idle,
      inUse: this.#slots.size - idle,
      waiting: this.#waiters.length,
      ...this.#statistics.figures,
    };
  }

  /**
   * Closes idle connections down to the minimum. Those in use above it close when they are released, unless
   * somebody waits then.
   *
   * @returns how many idle ones were closed, once they are.
   */
  async shrink(): Promise<number> {
    const closings: Promise<void>[] = [];
    while (this.#slots.size > this.#limits.min) {
      const slot = this.#idle.shift();
      if (slot === undefined) break;
      closings.push(this.#discard(slot));
    }
    this.#surplus = Math.max(0, this.#slots.size - this.#limits.min);
    await Promise.all(closings);
    return closings.length;
  }

  /**
   * Replaces every connection, those in use when they are released: what the server answered on one of them
   * holds for all, such as that it is no longer the primary after a failover.
   */
  replaceAll(): void {
    this.#generation += 1;
    this.sweep();
  }

  /** Closes connections that are idle for too long, too old or broken; it also runs periodically. */
  sweep(): void {
    if (this.#closed) return;
    const now = this.#now();
    for (const slot of [...this.#idle]) {
      const surplus = this.#slots.size > this.#limits.min;
      if (!this.#isUsable(slot)) void this.#discard(slot, 'broken');
      else if (this.#isOld(slot)) void this.#discard(slot, 'recycled');
      else if (surplus && now - slot.idleSinceMs >= this.#limits.idleMs) void this.#discard(slot);
    }
    while (this.#slots.size + this.#opening < this.#limits.min) this.#open();
    this.#pump();
  }

  /** Rejects all waiters, waits for the connections in use, closes everything. */
  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const waiter of this.#waiters.splice(0)) waiter.fail(this.#closedError());
    for (const slot of [...this.#idle]) void this.#discard(slot);
    if (this.#slots.size + this.#opening > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    await Promise.all(this.#closings);
  }

  #wait(): Promise<Slot<C>> {
    if (this.#closed) return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => {
      const sinceMs = this.#now();
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        this.#statistics.count('timeouts');
        const message = `no connection of the pool "${this.#name}" came free within ${this.#limits.waitMs} ms`;
        reject(new PlimsollError('POOL_EXHAUSTED', message, { retryAfterSeconds: 1 }));
      }, this.#limits.waitMs);
      const waiter: Waiter<C> = {
        sinceMs,
        give: (slot) => {
          clearTimeout(timer);
          resolve(slot);
        },
        fail: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiters.push(waiter);
      this.#pump();
    });
  }

  /**
   * Serves the waiters, oldest first:
   * 1. a broken or old idle connection is discarded;
   * 2. one that was idle for long is checked before it is lent;
   * 3. any other idle one is lent;
   * 4. with none idle, one is opened per waiter, up to the maximum.
   */
  #pump(): void {
    while (this.#waiters.length > this.#checking) {
      const slot = this.#idle.at(-1);
      if (slot === undefined) break;
      if (!this.#isUsable(slot)) void this.#discard(slot, 'broken');
      else if (this.#isOld(slot)) void this.#discard(slot, 'recycled');
      else if (this.#now() - slot.idleSinceMs >= this.#limits.checkAfterIdleMs) this.#check(slot);
      else this.#give(slot);
    }
    while (
      this.#opening + this.#checking < this.#waiters.length &&
      this.#slots.size + this.#opening < this.#limits.max
    ) {
      this.#open();
    }
  }

  #give(slot: Slot<C>): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#removeIdle(slot);
    this.#statistics.lent(this.#now() - waiter.sinceMs);
    waiter.give(slot);
  }

  #release(slot: Slot<C>): void {
    if (!this.#isUsable(slot)) void this.#discard(slot, 'broken');
    else if (this.#closed) void this.#discard(slot);
    else if (this.#isOld(slot)) void this.#discard(slot, 'recycled');
    else if (this.#isSurplus()) void this.#discard(slot);
    else this.#makeIdle(slot);
    this.#pump();
  }

  /** Whether a released connection is to close because of the last shrink. */
  #isSurplus(): boolean {
    if (this.#surplus === 0) return false;
    this.#surplus -= 1;
    return this.#waiters.length === 0 && this.#slots.size > this.#limits.min;
  }

  #open(): void {
    this.#opening += 1;
    const openedIn = this.#generation;
    // A connector that throws at once is a rejection like any other.
    Promise.resolve()
      .then(() => this.#connector.open())
      .then(
        (connection) => {
          this.#opening -= 1;
          this.#statistics.count('opened');
          const now = this.#now();
          const slot: Slot<C> = {
            ...{ connection, openedAtMs: now, idleSinceMs: now, generation: openedIn },
          };
          this.#slots.add(slot);
          if (this.#closed) void this.#discard(slot);
          else if (this.#isOld(slot)) void this.#discard(slot, 'recycled');
          else this.#handOver(slot);
          this.#pump();
        },
        (error: unknown) => {
          this.#opening -= 1;
          // The oldest waiter gets the error; each of the others tries again.
          this.#waiters.shift()?.fail(error);
          this.#tellIfEmpty();
          this.#pump();
        },
      );
  }

  #check(slot: Slot<C>): void {
    this.#removeIdle(slot);
    this.#checking += 1;
    void this.#passes(slot.connection).then((passed) => {
      this.#checking -= 1;
      if (!passed) void this.#discard(slot, 'broken');
      else if (this.#closed) void this.#discard(slot);
      else this.#handOver(slot);
      this.#pump();
    });
  }

  /** A check that does not end within the wait limit has failed: a dead peer sends no error. */
  async #passes(connection: C): Promise<boolean> {
    const { promise, resolve } = promiseOf<boolean>();
    const timer = setTimeout(() => resolve(false), this.#limits.waitMs);
    try {
      return await Promise.race([this.#connector.check(connection), promise]);
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A connection that has just answered is not checked, even if every idle one is (a limit of 0). */
  #handOver(slot: Slot<C>): void {
    this.#makeIdle(slot);
    this.#give(slot);
  }

  #makeIdle(slot: Slot<C>): void {
    slot.idleSinceMs = this.#now();
    this.#idle.push(slot);
  }

  #removeIdle(slot: Slot<C>): void {
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #isUsable({ connection, generation }: Slot<C>): boolean {
    return generation === this.#generation && this.#connector.isUsable(connection);
  }

  #isOld(slot: Slot<C>): boolean {
    return this.#now() - slot.openedAtMs >= this.#limits.lifetimeMs;
  }

  #discard(slot: Slot<C>, why?: 'recycled' | 'broken'): Promise<void> {
    this.#removeIdle(slot);
    this.#slots.delete(slot);
    if (why !== undefined) this.#statistics.count(why);
    // An error while closing changes nothing: the connection is gone.
    const closing = Promise.resolve()
      .then(() => this.#connector.close(slot.connection))
      .catch(() => undefined)
      .finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
    this.#tellIfEmpty();
    return closing;
  }

  #tellIfEmpty(): void {
    if (this.#slots.size + this.#opening === 0) this.#whenEmpty?.();
  }

  #closedError(): PlimsollError {
    return new PlimsollError('SHUTTING_DOWN', `the pool "${this.#name}" is closed`);
  }
}

function promiseOf<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let settle: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: settle };
}
