/** Assigns inputs to requests, the same way for the same seed. */

/**
 * The set is shuffled once; then each session, user and request takes the next input, starting over after the
 * last. So users get different texts while the set lasts, and repeats are known exactly.
 */
export class Assignment {
  readonly #order: Uint32Array;
  readonly #requests: number;

  /** @param count inputs in the set. @param requests of each user. */
  constructor(count: number, requests: number, seed: number) {
    this.#order = shuffled(count, seed);
    this.#requests = requests;
  }

  /** The index of the input of one request; users count through all sessions, both from 0. */
  inputOf(user: number, request: number): number {
    const turn = user * this.#requests + request;
    return this.#order[turn % this.#order.length] ?? 0;
  }
}

/** Fisher–Yates (Durstenfeld 1964, CACM algorithm 235), from a seeded generator. */
function shuffled(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  const random = mulberry32(seed);
  for (let last = count - 1; last > 0; last -= 1) {
    const pick = Math.floor(random() * (last + 1));
    const kept = order[last] ?? 0;
    order[last] = order[pick] ?? 0;
    order[pick] = kept;
  }
  return order;
}

/** Tommy Ettinger's mulberry32 (public domain): 32 bits of state, plenty to shuffle a sample. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
