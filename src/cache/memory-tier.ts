import { LRUCache } from 'lru-cache';
import { ObservedTtl, type TtlRange } from './observed-ttl.js';

/** The cached result of one input. */
export interface CachedResult {
  /** Score of each label, by index; with `labels` the scores of those. */
  readonly scores: readonly number[];
  /** Indexes of the best labels, best first, if not all labels are kept. */
  readonly labels?: readonly number[];
  /** What was found in a text by a model that labels tokens; there are no scores then. */
  readonly entities?: readonly CachedEntity[];
  readonly truncated: boolean;
}

/** An entity of a text, as the worker found it. */
export interface CachedEntity {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
  readonly index?: number;
}

/** Size and hit counts of the cache. */
export interface CacheFigures {
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Remaining lifetime of results when they were read; undefined before the first hit. */
  readonly lifeLeft: TtlRange | undefined;
}

/** Bytes of one entry without its scores: key, entry, list links; measured with --expose-gc. */
const ENTRY_OVERHEAD_BYTES = 220;
const BYTES_PER_SCORE = 8;
/** An object of six fields, two numbers on the heap, the head of a text. */
const ENTITY_BYTES = 120;
/** Precision of expiry; lru-cache's default of 1 ms reads the clock and sets a timer each millisecond. */
const TTL_RESOLUTION_MS = 100;

/** Results in this process: an LRU cache with a limit in bytes and a TTL. */
export class MemoryTier {
  readonly #entries: LRUCache<string, CachedResult> | undefined;
  #hits = 0;
  #misses = 0;
  readonly #lifeLeft = new ObservedTtl();

  /** @param maxBytes 0 switches the tier off. */
  constructor(options: { readonly maxBytes: number; readonly ttlSeconds: number }) {
    if (options.maxBytes < ENTRY_OVERHEAD_BYTES) return;
    this.#entries = new LRUCache({
      maxSize: options.maxBytes,
      ttl: options.ttlSeconds * 1000,
      ttlResolution: TTL_RESOLUTION_MS,
      sizeCalculation: ({ scores, labels = [], entities = [] }) =>
        ENTRY_OVERHEAD_BYTES +
        (scores.length + labels.length) * BYTES_PER_SCORE +
        entities.reduce((sum, { word }) => sum + ENTITY_BYTES + 2 * word.length, 0),
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
    this.#lifeLeft.add(this.#entries?.getRemainingTTL(key) ?? 0);
    return found;
  }

  /** Like {@link get} for a lookup that was counted before: changes no count. */
  peek(key: string): CachedResult | undefined {
    return this.#entries?.peek(key);
  }

  /** @param leftMs remaining lifetime of a result that comes from another tier; default: the whole TTL. */
  set(key: string, value: CachedResult, leftMs?: number): void {
    this.#entries?.set(key, value, leftMs === undefined ? {} : { ttl: Math.ceil(leftMs) });
  }

  /** Drops everything. @returns the bytes that its entries were counted with. */
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
