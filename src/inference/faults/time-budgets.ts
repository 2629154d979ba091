import { CLASSES_PER_DOUBLING, lengthClass } from '../queue/length-class.js';
import type { TimeLimit } from '../workers/time-limit.js';

/** What a batch brings. */
export interface BatchWork {
  /** Sum of its rows' sizes, in characters that the model can take in. */
  readonly size: number;
  /** Characters of its texts, those included that will be cut off. */
  readonly characters: number;
}

/**
 * CPU time that any batch may use. Batches take milliseconds; this covers the compiler, a collection, and
 * weights that are read anew.
 */
const LEAST_BUDGET_MS = 1000;
/** A batch may use this many times what batches of its length take: honest texts of one length differ by less. */
const BUDGET_FACTOR = 10;
/** Weight of the newest batch in what is known. */
const NEWEST_WEIGHT = 0.1;
/** A batch counts as at most this many times what is known, so that slow texts cannot buy others time. */
const MOST_SURPRISE = 3;

/** What batches of one model take, by their length class. */
interface Learned {
  readonly digest: string;
  readonly msByClass: Map<number, number>;
}

/**
 * How long a batch may run, from what batches of that length take. A text that takes far longer is stopped before
 * others have waited for it for long.
 */
export class TimeBudgets {
  readonly #hardMs: number;
  readonly #models = new Map<string, Learned>();

  /** @param hardMs wall time after which a batch is stopped in any case. */
  constructor(hardMs: number) {
    this.#hardMs = hardMs;
  }

  /** A batch was answered after so long, loading left out. */
  observe(model: string, digest: string, work: BatchWork, ms: number): void {
    let learned = this.#models.get(model);
    if (learned?.digest !== digest) {
      learned = { digest, msByClass: new Map() };
      this.#models.set(model, learned);
    }
    const of = classOf(work);
    const known = learned.msByClass.get(of) ?? ms;
    const newestMs = Math.min(ms, MOST_SURPRISE * known);
    learned.msByClass.set(of, known + NEWEST_WEIGHT * (newestMs - known));
  }

  /**
   * The limit of a batch:
   *
   * 1. Without a batch of the model that was answered: the hard limit.
   * 2. From the batches of its length class, or the next longer one that is known.
   * 3. Else from the longest that is known, in proportion to the length.
   */
  limitOf(model: string, digest: string, work: BatchWork): TimeLimit {
    const hardMs = this.#hardMs;
    const learned = this.#models.get(model);
    if (learned?.digest !== digest) return { budgetMs: hardMs, hardMs }; // 1
    const expectedMs = expectedOf(learned.msByClass, classOf(work));
    return { budgetMs: Math.min(hardMs, LEAST_BUDGET_MS + BUDGET_FACTOR * expectedMs), hardMs };
  }
}

/** Whichever is more: a short text that was cut from a long one still has to be tokenized. */
function classOf({ size, characters }: BatchWork): number {
  return lengthClass(Math.max(size, characters));
}

function expectedOf(msByClass: ReadonlyMap<number, number>, wanted: number): number {
  let [longer, longest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const known of msByClass.keys()) {
    if (known >= wanted) longer = Math.min(longer, known);
    longest = Math.max(longest, known);
  }
  const found = msByClass.get(longer);
  if (found !== undefined) return found; // 2
  const doublings = (wanted - longest) / CLASSES_PER_DOUBLING;
  return (msByClass.get(longest) ?? 0) * 2 ** doublings; // 3
}
