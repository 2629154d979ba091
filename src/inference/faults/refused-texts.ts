import { LRUCache } from 'lru-cache';
import { PlimsollError } from '../../errors.js';

/** Long enough that a client that retries does no harm; short enough for a text that was blamed wrongly. */
const REFUSED_FOR_MS = 300_000;
/** About 200 bytes each. Whoever sends more such texts than this pays a worker's start for each. */
const MOST_TEXTS = 1000;

/** Texts that used up their time or ended workers, by their keyed hashes: they are refused for a while. */
export class RefusedTexts {
  readonly #reasons: LRUCache<string, string>;

  /** @param clock tells the time in ms. */
  constructor(clock: { readonly now: () => number } = performance) {
    this.#reasons = new LRUCache({
      max: MOST_TEXTS,
      ttl: REFUSED_FOR_MS,
      ttlResolution: 0,
      perf: clock,
    });
  }

  get size(): number {
    return this.#reasons.size;
  }

  /** @param key of the text and its model; a text without one is not remembered. */
  add(key: string | undefined, reason: string): void {
    if (key !== undefined) this.#reasons.set(key, reason);
  }

  /** Why the text is refused; undefined if it is not. */
  reasonOf(key: string | undefined): string | undefined {
    return key === undefined ? undefined : this.#reasons.get(key);
  }
}

/** @param position of the input in its request. */
export function inputRefused(position: number, reason: string): PlimsollError {
  const minutes = Math.round(REFUSED_FOR_MS / 60_000);
  const message = `inputs[${position}] ${reason}; it is refused for ${minutes} minutes`;
  return new PlimsollError('INPUT_REFUSED', message);
}
