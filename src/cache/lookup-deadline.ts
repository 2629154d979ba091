/** Ticks in one budget. */
const TICKS = 8;
/** A late tick counts for at most this many ticks: this process was busy and read no replies meanwhile. */
const MAX_TICKS_COUNTED = 1.5;

/** One caller that waits for a lookup. */
export interface Waiter {
  /** On the clock that stops while this process is busy, ms; {@link LookupDeadline.start} sets it. */
  deadlineMs: number;
  /** Called once at the deadline, unless {@link LookupDeadline.cancel} came first. */
  expire(): void;
}

/**
 * Deadlines for lookups, measured only while the event loop turns. Work that blocks the only thread (a
 * garbage collection, a SQLite batch, a hundred requests at once) delays replies that have already arrived.
 * With a wall clock a busy server would discard those replies, and give up on requests it has not even sent.
 *
 * The clock is sampled several times in one budget, and a late sample counts little more than one on time. So
 * before a waiter expires, the event loop has turned that often and has read what had arrived. One timer
 * serves all waiters.
 */
export class LookupDeadline {
  readonly #budgetMs: number;
  readonly #tickMs: number;
  readonly #now: () => number;
  /** In the order in which they expire: all have the same budget. */
  readonly #waiters = new Set<Waiter>();
  #elapsedMs = 0;
  #lastTickAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param budgetMs the same for every waiter. */
  constructor(budgetMs: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#budgetMs = budgetMs;
    this.#tickMs = Math.max(1, Math.floor(budgetMs / TICKS));
  }

  start(waiter: Waiter): void {
    if (this.#timer === undefined) {
      this.#lastTickAtMs = this.#now();
      this.#scheduleTick();
    }
    waiter.deadlineMs = this.#elapsedMs + this.#sinceLastTick() + this.#budgetMs;
    this.#waiters.add(waiter);
  }

  cancel(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  #sinceLastTick(): number {
    return Math.min(this.#now() - this.#lastTickAtMs, MAX_TICKS_COUNTED * this.#tickMs);
  }

  #scheduleTick(): void {
    this.#timer = setTimeout(() => {
      this.#elapsedMs += this.#sinceLastTick();
      this.#lastTickAtMs = this.#now();
      for (const waiter of this.#waiters) {
        if (waiter.deadlineMs > this.#elapsedMs) break;
        // Timers run before the poll phase: read what has arrived first.
        setImmediate(() => {
          if (this.#waiters.delete(waiter)) waiter.expire();
        });
      }
      this.#timer = undefined;
      if (this.#waiters.size > 0) this.#scheduleTick();
    }, this.#tickMs);
  }
}
