import { PlimsollError } from '../../errors.js';
import { type Places, SharedRun } from '../../system/one-at-a-time.js';
import { settledWithin } from '../../system/time-limit.js';

/** A look at one model takes milliseconds. A disk that has not answered after this hangs: each further look would keep another of Node's four threads. */
export const LOOK_HANGS_MS = 5000;
/** One at thousands of models or files takes seconds, more on a disk of the network. */
export const LONG_LOOK_HANGS_MS = 30_000;

interface UnderWay<T> {
  readonly run: SharedRun<T>;
  waiting: number;
  /** When the look that runs now began; one that waits for its place has not. */
  beganMs: number | undefined;
}

/**
 * Looks at the models' files, which hang where their disk does. Node has four threads for files, and each hanging look
 * keeps one: so many callers who ask for one name share a look, looks for different names take turns at a few places,
 * and callers wait no longer than a bound.
 */
export class SharedLooks<T> {
  readonly #look: (name: string) => Promise<T>;
  readonly #limitMs: number;
  readonly #places: Places;
  readonly #underWay = new Map<string, UnderWay<T>>();

  /**
   * @param limitMs a look that takes longer hangs.
   * @param places that looks take, also those of others.
   */
  constructor(look: (name: string) => Promise<T>, limitMs: number, places: Places) {
    this.#look = look;
    this.#limitMs = limitMs;
    this.#places = places;
  }

  /** What a look finds that begins now, or when the one under way for that name has ended. It may hang. */
  async look(name: string): Promise<T> {
    const underWay = this.#underWay.get(name) ?? this.#begin(name);
    underWay.waiting += 1;
    try {
      return await underWay.run.run();
    } finally {
      underWay.waiting -= 1;
      if (underWay.waiting === 0) this.#underWay.delete(name);
    }
  }

  /**
   * The same within the bound.
   *
   * 1. A look hangs: another one would hang as well, and take another place.
   * 2. It is over in time, or is told to hang. It goes on, and others find what it will have found.
   *
   * @throws PlimsollError STORAGE_UNAVAILABLE
   */
  async lookInTime(name: string): Promise<T> {
    const hangingMs = this.#hangingMs();
    if (hangingMs >= this.#limitMs) throw hangingDisk(silentFor(hangingMs)); // 1
    const look = this.look(name);
    if (await settledWithin(look, this.#limitMs)) return look; // 2
    throw hangingDisk(silentFor(this.#limitMs));
  }

  #hangingMs(): number {
    const now = performance.now();
    let longestMs = 0;
    for (const { beganMs = now } of this.#underWay.values()) {
      longestMs = Math.max(longestMs, now - beganMs);
    }
    return longestMs;
  }

  #begin(name: string): UnderWay<T> {
    const run = new SharedRun(() =>
      this.#places.run(async () => {
        underWay.beganMs = performance.now();
        try {
          return await this.#look(name);
        } finally {
          underWay.beganMs = undefined;
        }
      }),
    );
    const underWay: UnderWay<T> = { run, waiting: 0, beganMs: undefined };
    this.#underWay.set(name, underWay);
    return underWay;
  }
}

export function hangingDisk(reason: string): PlimsollError {
  return new PlimsollError('STORAGE_UNAVAILABLE', reason, { retryAfterSeconds: 5 });
}

export function silentFor(ms: number): string {
  return `the models' files have not answered for ${Math.round(ms / 1000)} s`;
}
