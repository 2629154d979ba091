import { LRUCache } from 'lru-cache';
import { type LifeRange, LifeSeen } from './life-seen.js';

/** What is kept of one input: enough to answer it again. */
export interface CachedResult {
  readonly scores: readonly number[];
  readonly truncated: boolean;
}

/** What the cache holds and has done. */
export interface CacheFigures {
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** What was left of the lives of results when they were asked for; undefined before the first hit. */
  readonly lifeLeft: LifeRange | undefined;
}

/** Bytes of one entry beside its scores: key, entry, links of the list; measured with --expose-gc. */
const ENTRY_OVERHEAD_BYTES = 220;
const BYTES_PER_SCORE = 8;
/** How late an entry may be found expired; by default the clock is read, and a timer set, each millisecond. */
const TTL_RESOLUTION_MS = 100;

/** Results in process: bounded in bytes, least recently used out first, entries expire. */
export class MemoryTier {
  readonly #entries: LRUCache<string, CachedResult> | undefined;
  #hits = 0;
  #misses = 0;
  readonly #lifeLeft = new LifeSeen();

  /** @param maxBytes 0 switches the tier off. */
  constructor(options: { readonly maxBytes: number; readonly ttlSeconds: number }) {
    if (options.maxBytes < ENTRY_OVERHEAD_BYTES) return;
    this.#entries = new LRUCache({
      maxSize: options.maxBytes,
      ttl: options.ttlSeconds * 1000,
      ttlResolution: TTL_RESOLUTION_MS,
      sizeCalculation: ({ scores }) => ENTRY_OVERHEAD_BYTES + scores.length * BYTES_PER_SCORE,
    });
  }

  get figures(): CacheFigures {
    return {
      entries: this.#entries?.size ?? 0,
      bytes: this.#entries?.calculatedSize ?? 0,
      hits: this.#hits,
      misses: this.#misses,
      lifeLeft: this.#lifeLeft.range,
    };
  }

  get(key: string): CachedResult | undefined {
    const found = this.#entries?.get(key);
    if (found === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    this.#lifeLeft.see(this.#entries?.getRemainingTTL(key) ?? 0);
    return found;
  }

  /** The same for who has asked already: counts nothing. */
  peek(key: string): CachedResult | undefined {
    return this.#entries?.peek(key);
  }

  /** @param leftMs what is left of the result's life, if it comes from elsewhere. */
  set(key: string, value: CachedResult, leftMs?: number): void {
    this.#entries?.set(key, value, leftMs === undefined ? {} : { ttl: Math.ceil(leftMs) });
  }

  /** Drops everything. @returns bytes that its entries were counted with. */
  clear(): number {
    const bytes = this.figures.bytes;
    this.#entries?.clear();
    return bytes;
  }

  /** Drops the least recently used entries until at most `bytes` are left. @returns bytes dropped. */
  shrinkTo(bytes: number): number {
    const before = this.figures.bytes;
    while (this.figures.bytes > bytes && this.#entries?.pop() !== undefined);
    return before - this.figures.bytes;
  }
}
