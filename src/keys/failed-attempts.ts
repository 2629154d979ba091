import { LRUCache } from 'lru-cache';

/** Wrong keys that an address may send at once, and how long it takes until one more is forgiven. */
const BURST = 10;
const FORGIVEN_EVERY_MS = 6000;
/** Addresses that are remembered: about 200 bytes each. */
const ADDRESSES = 4096;
/** Checks of one address, and of all, that may be held back at the same time. */
const HELD_OF_ADDRESS = 8;
const HELD = 256;
/** How long the check of a key is held back. */
export const HELD_MS = 1000;

interface Attempts {
  failures: number;
  atMs: number;
  held: number;
}

/**
 * Slows down who tries keys. An address that sent many wrong ones waits a second for each further check, a few at a
 * time, and is refused beyond that. Keys that were valid before are not held back: they pay nothing for a
 * neighbour at the same address.
 */
export class FailedAttempts {
  readonly #addresses = new LRUCache<string, Attempts>({ max: ADDRESSES });
  #held = 0;

  /** Notes a wrong key. @param nowMs by any clock that only rises. */
  failed(address: string, nowMs: number): void {
    const attempts = this.#of(address, nowMs);
    attempts.failures += 1;
    this.#addresses.set(networkOf(address), attempts);
  }

  /** What to do with a key that was not seen before: check it now, hold it back first, or refuse it. */
  judge(address: string, nowMs: number): 'check' | 'hold' | 'refuse' {
    const { failures, held } = this.#of(address, nowMs);
    if (failures < BURST) return 'check';
    return held < HELD_OF_ADDRESS && this.#held < HELD ? 'hold' : 'refuse';
  }

  /** A check is held back. @returns what to call when it goes on. */
  hold(address: string, nowMs: number): () => void {
    const attempts = this.#of(address, nowMs);
    attempts.held += 1;
    this.#held += 1;
    this.#addresses.set(networkOf(address), attempts);
    return () => {
      attempts.held -= 1;
      this.#held -= 1;
    };
  }

  #of(address: string, nowMs: number): Attempts {
    const known = this.#addresses.get(networkOf(address));
    if (known === undefined) return { failures: 0, atMs: nowMs, held: 0 };
    const forgiven = Math.floor((nowMs - known.atMs) / FORGIVEN_EVERY_MS);
    if (forgiven > 0) {
      known.failures = Math.max(0, Math.min(known.failures, 2 * BURST) - forgiven);
      known.atMs += forgiven * FORGIVEN_EVERY_MS;
    }
    return known;
  }
}

/** Whoever has an IPv6 address has all of its /64. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  if (tail !== undefined) {
    const behind = tail.split(':').filter((group) => group !== '').length;
    while (groups.length + behind < 8) groups.push('0');
  }
  return groups.slice(0, 4).join(':');
}
