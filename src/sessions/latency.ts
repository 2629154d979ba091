/** Buckets for each doubling: neighbours are 9 % apart, so a percentile is off by at most 5 %. */
const BUCKETS_PER_DOUBLING = 8;
/** Upper end of the first bucket, in ms; faster answers count as this. */
const FIRST_MS = 0.25;
/** 0.25 ms to 131 s, and a last one for slower answers, of which the largest is kept. */
const BUCKETS = 2 + 19 * BUCKETS_PER_DOUBLING;

/** Latency of a session's answers, in ms. */
export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Latencies in exponential buckets: 600 bytes for any number of answers, none before the first. */
export class LatencyHistogram {
  #counts: Uint32Array | undefined;
  #count = 0;
  #largestMs = 0;

  /** @param ms latency of one answer. */
  add(ms: number): void {
    this.#counts ??= new Uint32Array(BUCKETS);
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#largestMs = Math.max(this.#largestMs, ms);
  }

  /** Undefined before the first answer. */
  get percentiles(): Percentiles | undefined {
    if (this.#count === 0) return undefined;
    return { p50Ms: this.#percentile(50), p99Ms: this.#percentile(99) };
  }

  /** Percentile by nearest rank, in ms. */
  #percentile(percent: number): number {
    const rank = Math.ceil((this.#count * percent) / 100);
    let seen = 0;
    for (const [bucket, count] of this.#counts?.entries() ?? []) {
      seen += count;
      // The largest latency may be below the middle of its bucket.
      if (seen >= rank && bucket < BUCKETS - 1) return Math.min(middleMs(bucket), this.#largestMs);
    }
    return this.#largestMs;
  }
}

function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(ms / FIRST_MS) * BUCKETS_PER_DOUBLING));
}

/** Geometric middle of a bucket. */
function middleMs(bucket: number): number {
  return bucket === 0 ? FIRST_MS : FIRST_MS * 2 ** ((bucket - 0.5) / BUCKETS_PER_DOUBLING);
}
