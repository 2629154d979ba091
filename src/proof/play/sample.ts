/** Bounded memory for an unbounded run: exact moments of all values, single values of a sample. */
import { type Description, quantileOfSorted } from '../statistics.js';

/**
 * Keeps every item up to the limit, then one of 2, one of 4, … A hash of the item's number selects them, so that
 * no periodic pattern of the run (eight users in turn) biases the sample.
 */
export class Sample<T> {
  readonly #limit: number;
  #kept: { readonly number: number; readonly item: T }[] = [];
  #next = 0;
  #mask = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(item: T): void {
    const number = this.#next;
    this.#next += 1;
    if ((mixed(number) & this.#mask) !== 0) return;
    this.#kept.push({ number, item });
    if (this.#kept.length <= this.#limit) return;
    this.#mask = this.#mask * 2 + 1;
    this.#kept = this.#kept.filter((one) => (mixed(one.number) & this.#mask) === 0);
  }

  /** In the order in which they were added. */
  get items(): readonly T[] {
    return this.#kept.map(({ item }) => item);
  }

  /** 1 if everything was kept, 2 if every second item was, … */
  get oneOf(): number {
    return this.#mask + 1;
  }
}

/** The finalizer of MurmurHash3 (Austin Appleby, public domain): every bit depends on all bits. */
function mixed(number: number): number {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Count, mean, standard deviation and bounds of all values, one by one: B. P. Welford, Technometrics 4 (1962). */
export class Moments {
  count = 0;
  first = Number.NaN;
  last = Number.NaN;
  min = Infinity;
  max = -Infinity;
  mean = 0;
  #squares = 0;

  add(value: number): void {
    if (this.count === 0) this.first = value;
    this.last = value;
    this.count += 1;
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
    const off = value - this.mean;
    this.mean += off / this.count;
    this.#squares += off * (value - this.mean);
  }

  /** Sample standard deviation; 0 of a single value. */
  get sd(): number {
    return this.count < 2 ? 0 : Math.sqrt(this.#squares / (this.count - 1));
  }
}

/** Describes all values: exact moments, quantiles of the sample. Null without values. */
export function describeSampled(
  { count, mean, sd, min, max }: Moments,
  sample: readonly number[],
): Description | null {
  if (count === 0) return null;
  const sorted = Float64Array.from(sample).sort();
  const quantile = (share: number) =>
    sorted.length === 0 ? mean : quantileOfSorted(sorted, share);
  return {
    ...{ count, mean, sd, min, max },
    ...{ p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
  };
}
