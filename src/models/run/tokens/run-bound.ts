/**
 * The longest run without a blank that a model's lean tokenizer is given, from the time that such runs take it. Unigram
 * takes time in proportion to the square of a run's length, byte-level BPE nearly in proportion to the length: a bound
 * by kind would be too strict for one or let the other hold a worker up.
 */

/** No run is longer for any tokenizer: beyond it the lean one's stack may end. */
export const LONGEST_LEAN_RUN = 4096;
/** Honest words are shorter: below this no run is sent to the native tokenizer, however slow the machine is. */
const SHORTEST_BOUND = 256;
/** CPU time that the longest run may take: about what a batch of a small model takes. */
const MOST_MS = 10;
/** The least of so many tries counts: what else the machine does only ever adds to them. */
const TRIES = 3;

/**
 * A letter that vocabularies know, one that hardly any knows, and a mixture: whichever takes the longest decides. None
 * of them holds a blank.
 */
const RUNS: readonly string[] = ['a', '\u{a4d0}', 'xq7中Ω'];

/**
 * The bound for the times of doubled lengths. Pure.
 *
 * 1. The longest length that was within the time is taken for granted.
 * 2. Between it and the next one the time is taken to grow with the square of the length.
 *
 * @param times of runs of the lengths `SHORTEST_BOUND`, twice that, and so on, up to the first that took too long
 */
export function boundOf(times: readonly number[], mostMs = MOST_MS): number {
  let good = SHORTEST_BOUND;
  for (const [at, ms] of times.entries()) {
    const length = SHORTEST_BOUND * 2 ** at;
    if (ms > mostMs) {
      const between = Math.floor(length * Math.sqrt(mostMs / ms)); // 2
      return Math.min(LONGEST_LEAN_RUN, Math.max(good, between));
    }
    good = length; // 1
  }
  return Math.min(LONGEST_LEAN_RUN, good);
}

/** Measures a tokenizer. @param encode makes tokens of a text; a run that it throws at counts as one that takes too long */
export function measureRunBound(encode: (text: string) => unknown): number {
  const times: number[] = [];
  for (let length = SHORTEST_BOUND; length <= LONGEST_LEAN_RUN; length *= 2) {
    const ms = Math.max(...RUNS.map((unit) => leastMs(encode, runOf(unit, length))));
    times.push(ms);
    if (ms > MOST_MS) break;
  }
  return boundOf(times);
}

function runOf(unit: string, length: number): string {
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
}

function leastMs(encode: (text: string) => unknown, text: string): number {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const begun = process.cpuUsage();
    try {
      encode(text);
    } catch {
      return Number.POSITIVE_INFINITY;
    }
    const { user, system } = process.cpuUsage(begun);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
