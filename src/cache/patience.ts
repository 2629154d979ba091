/** Looks at the clock in one budget. */
const LOOKS = 8;
/** A look later than this many times its due counts for no more: meanwhile this process did not listen. */
const MOST_OF_A_LOOK = 1.5;

/** Somebody who waits. */
export interface Waiting {
  /** By the clock that stands still while this process is busy, ms; {@link Patience.begin} sets it. */
  untilMs: number;
  /** Called once, unless {@link Patience.end} comes first. */
  giveUp(): void;
}

/**
 * How long others are waited for, counted while this process listens. What keeps its only thread busy (a
 * collection, a batch for the database, a hundred requests that came at once) is no fault of who is
 * waited for: by the wall clock a busy server would give up on answers that have been lying there, and on
 * questions that it has not even sent.
 *
 * The clock is looked at several times in one budget, and a look that comes late counts little more than
 * one in time. So whoever gives up has had the event loop come round that often, with all that had
 * arrived read in each turn. One timer serves all who wait.
 */
export class Patience {
  readonly #budgetMs: number;
  readonly #lookMs: number;
  readonly #now: () => number;
  /** In the order in which they give up. */
  readonly #waits = new Set<Waiting>();
  #listenedMs = 0;
  #lookedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param budgetMs the same for all. */
  constructor(budgetMs: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#budgetMs = budgetMs;
    this.#lookMs = Math.max(1, Math.floor(budgetMs / LOOKS));
  }

  begin(waiting: Waiting): void {
    if (this.#timer === undefined) {
      this.#lookedAtMs = this.#now();
      this.#look();
    }
    waiting.untilMs = this.#listenedMs + this.#sinceLook() + this.#budgetMs;
    this.#waits.add(waiting);
  }

  end(waiting: Waiting): void {
    this.#waits.delete(waiting);
  }

  #sinceLook(): number {
    return Math.min(this.#now() - this.#lookedAtMs, MOST_OF_A_LOOK * this.#lookMs);
  }

  #look(): void {
    this.#timer = setTimeout(() => {
      this.#listenedMs += this.#sinceLook();
      this.#lookedAtMs = this.#now();
      for (const waiting of this.#waits) {
        if (waiting.untilMs > this.#listenedMs) break;
        // Timers come before what has arrived: that is read first.
        setImmediate(() => {
          if (this.#waits.delete(waiting)) waiting.giveUp();
        });
      }
      this.#timer = undefined;
      if (this.#waits.size > 0) this.#look();
    }, this.#lookMs);
  }
}
