import { PlimsollError } from '../errors.js';

/** Memory that opening a model takes, as measured. */
export interface LoadNeed {
  readonly model: string;
  /** Peak private bytes, while its largest batch runs. */
  readonly privateBytes: number;
  /** Bytes of mapped weights, shared by all workers. */
  readonly mappedBytes: number;
}

/** Outcome of asking for room. */
export type Admission =
  /** The load may start; call `settle` when it has ended, even in failure. */
  | { readonly state: 'admitted'; readonly settle: () => void }
  /** No room now; `changed` settles when it is worth asking again. */
  | { readonly state: 'wait'; readonly changed: Promise<void>; readonly refusal: PlimsollError };

export interface AdmissionOptions {
  /** Memory in use by the last reading, and the budget. */
  readonly figures: () => { readonly loadBytes: number; readonly lineBytes: number };
  /** Evicts idle models until that many bytes are free, or none is left. */
  readonly makeRoom: (neededBytes: number, forModel: string) => Promise<void>;
}

const MB = 2 ** 20;

/**
 * Admits loads against the load line. Each load counts what earlier ones were promised, until a reading shows
 * what they really took.
 */
export class LoadAdmission {
  readonly #options: AdmissionOptions;
  readonly #promised = new Map<symbol, { bytes: number; ended: boolean }>();
  #making: Promise<void> | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Bytes that admitted loads may still take. */
  get promisedBytes(): number {
    let bytes = 0;
    for (const promise of this.#promised.values()) bytes += promise.bytes;
    return bytes;
  }

  /**
   * Asks for room.
   *
   * 1. A model whose weights or whose private bytes exceed the line is refused for good. (Not their
   *    sum: the kernel can drop weights that are not in use while a run takes its memory.)
   * 2. It fits beside what is in use and promised: admitted.
   * 3. Otherwise idle models are evicted, and the caller asks again after that.
   *
   * @throws PlimsollError INSUFFICIENT_MEMORY
   */
  ask(need: LoadNeed): Admission {
    const { loadBytes, lineBytes } = this.#options.figures();
    if (Math.max(need.privateBytes, need.mappedBytes) > lineBytes) throw neverFits(need, lineBytes); // 1
    const over = loadBytes + this.promisedBytes + need.privateBytes - lineBytes;
    if (over <= 0) return this.#promise(need.privateBytes); // 2
    this.#making ??= this.#options.makeRoom(over, need.model).finally(() => {
      this.#making = undefined;
    });
    const refusal = noRoom(need, loadBytes + this.promisedBytes, lineBytes);
    return { state: 'wait', changed: this.#making, refusal }; // 3
  }

  /**
   * Asks for room for optional work: nothing is evicted and nobody waits for it.
   *
   * @param privateBytes its peak.
   * @param cacheBytes page cache that it needs as well; without room for that it would thrash.
   * @returns call it when the work has ended, even in failure; undefined if there is no room now.
   */
  askForSpare(privateBytes: number, cacheBytes: number): (() => void) | undefined {
    const { loadBytes, lineBytes } = this.#options.figures();
    const over = loadBytes + this.promisedBytes + privateBytes + cacheBytes - lineBytes;
    return over <= 0 ? this.#promise(privateBytes).settle : undefined;
  }

  /** A new reading includes what ended loads have taken, so their promises are dropped. */
  readingTaken(): void {
    for (const [key, promise] of this.#promised) if (promise.ended) this.#promised.delete(key);
  }

  #promise(bytes: number): Extract<Admission, { state: 'admitted' }> {
    const key = Symbol('load');
    const promise = { bytes, ended: false };
    this.#promised.set(key, promise);
    const settle = () => {
      promise.ended = true;
    };
    return { state: 'admitted', settle };
  }
}

function neverFits(need: LoadNeed, lineBytes: number): PlimsollError {
  const message =
    `model ${need.model} needs ${mb(need.mappedBytes)} of mapped weights and ${mb(need.privateBytes)} of its own; ` +
    `the load line is ${mb(lineBytes)}, so it would not fit even alone`;
  return new PlimsollError('INSUFFICIENT_MEMORY', message);
}

function noRoom(need: LoadNeed, usedBytes: number, lineBytes: number): PlimsollError {
  const message =
    `model ${need.model} needs ${mb(need.privateBytes)} to open, ${mb(usedBytes)} of the load line’s ` +
    `${mb(lineBytes)} are in use or promised, and no idle model is left to evict`;
  return new PlimsollError('INSUFFICIENT_MEMORY', message, { retryAfterSeconds: 5 });
}

function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}
