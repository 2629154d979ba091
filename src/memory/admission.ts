import { PlimsollError } from '../errors.js';

/** Memory that opening a model takes, as measured. */
export interface LoadNeed {
  readonly model: string;
  /** Peak private bytes, while its largest batch runs. */
  readonly privateBytes: number;
  /** Bytes of mapped weights, shared by all workers. */
  readonly mappedBytes: number;
}

/** Memory that preparing a model takes, by the rule for its size. */
export interface PrepareNeed {
  readonly model: string;
  /** Private bytes of the preparer at its peak. */
  readonly peakBytes: number;
  /** What the preparer holds by the last reading: that part of its peak is in the figures already. */
  readonly heldBytes: () => number;
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
  readonly #promised = new Map<symbol, Promised>();
  #making: Promise<void> | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Bytes that admitted loads may still take. */
  get promisedBytes(): number {
    let bytes = 0;
    for (const promise of this.#promised.values()) bytes += promise.bytes();
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
    const never = this.neverFits(need);
    if (never !== undefined) throw never; // 1
    const { loadBytes, lineBytes } = this.#options.figures();
    const over = loadBytes + this.promisedBytes + need.privateBytes - lineBytes;
    if (over <= 0) return this.#promise(() => need.privateBytes); // 2
    const changed = this.#makeRoom(over, need.model);
    const refusal = noRoom(need, loadBytes + this.promisedBytes, lineBytes);
    return { state: 'wait', changed, refusal }; // 3
  }

  /** Why the model could not be opened even alone; undefined: it could. */
  neverFits(need: LoadNeed): PlimsollError | undefined {
    const { lineBytes } = this.#options.figures();
    const isOver = Math.max(need.privateBytes, need.mappedBytes) > lineBytes;
    return isOver ? neverFits(need, lineBytes) : undefined;
  }

  /**
   * Asks for room to prepare a model.
   *
   * 1. A peak over the line: refused for good.
   * 2. It fits beside what is in use and promised.
   * 3. Otherwise idle models are evicted, once; if it does not fit then, it is refused for now.
   *
   * @returns call it when the preparer has ended, even in failure.
   * @throws PlimsollError INSUFFICIENT_MEMORY with the figures and the remedy
   */
  async askToPrepare(need: PrepareNeed): Promise<() => void> {
    const { peakBytes } = need;
    for (let hasMadeRoom = false; ; hasMadeRoom = true) {
      const { loadBytes, lineBytes } = this.#options.figures();
      if (peakBytes > lineBytes) throw neverPrepared(need, lineBytes); // 1
      const usedBytes = loadBytes + this.promisedBytes;
      const over = usedBytes + peakBytes - lineBytes;
      if (over <= 0) return this.#promise(() => peakBytes - need.heldBytes()).settle; // 2
      if (hasMadeRoom) throw notPreparedNow(need, usedBytes, lineBytes); // 3
      await this.#makeRoom(over, need.model);
    }
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
    return over <= 0 ? this.#promise(() => privateBytes).settle : undefined;
  }

  /** A new reading includes what ended loads have taken, so their promises are dropped. */
  readingTaken(): void {
    for (const [key, promise] of this.#promised) if (promise.ended) this.#promised.delete(key);
  }

  /** One eviction at a time, for all who wait. */
  #makeRoom(bytes: number, forModel: string): Promise<void> {
    this.#making ??= this.#options.makeRoom(bytes, forModel).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  #promise(bytes: () => number): Extract<Admission, { state: 'admitted' }> {
    const key = Symbol('load');
    const promise = { bytes: () => Math.max(0, bytes()), ended: false };
    this.#promised.set(key, promise);
    const settle = () => {
      promise.ended = true;
    };
    return { state: 'admitted', settle };
  }
}

interface Promised {
  readonly bytes: () => number;
  ended: boolean;
}

const ELSEWHERE =
  'prepare it on a larger machine (`plimsoll models --prepare`) and copy the data folder';

function neverPrepared({ model, peakBytes }: PrepareNeed, lineBytes: number): PlimsollError {
  const message =
    `preparing model ${model} takes ${mb(peakBytes)} for a moment; the load line is ${mb(lineBytes)}, ` +
    `so it would not fit even alone: ${ELSEWHERE}, or raise memory.load_line`;
  return new PlimsollError('INSUFFICIENT_MEMORY', message);
}

function notPreparedNow(need: PrepareNeed, usedBytes: number, lineBytes: number): PlimsollError {
  const message =
    `preparing model ${need.model} takes ${mb(need.peakBytes)} for a moment, ${mb(usedBytes)} of the load line’s ` +
    `${mb(lineBytes)} are in use or promised: try again when memory has fallen, or ${ELSEWHERE}`;
  return new PlimsollError('INSUFFICIENT_MEMORY', message, { retryAfterSeconds: 5 });
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
