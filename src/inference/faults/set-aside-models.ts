import { PlimsollError } from '../../errors.js';

/** Texts in a row that must fail, with no batch answered in between, before the model is to blame and not they. */
const FAILURES_TO_SET_ASIDE = 3;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

interface Trouble {
  readonly digest: string;
  failures: number;
  pauseMs: number;
  untilMs: number;
}

/**
 * Models that end workers or never answer, whatever the text: they are set aside for a while, and longer each time,
 * until a batch is answered.
 */
export class SetAsideModels {
  readonly #now: () => number;
  readonly #troubles = new Map<string, Trouble>();

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  /** A batch was answered. */
  answered(model: string): void {
    if (this.#troubles.size > 0) this.#troubles.delete(model);
  }

  /** A text was blamed. @returns whether the model is set aside with that */
  failed(model: string, digest: string): boolean {
    const trouble = this.#troubleOf(model, digest);
    trouble.failures += 1;
    if (trouble.failures < FAILURES_TO_SET_ASIDE) return false;
    // One more failure after the pause sets it aside again.
    trouble.failures = FAILURES_TO_SET_ASIDE - 1;
    trouble.untilMs = this.#now() + trouble.pauseMs;
    trouble.pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * trouble.pauseMs);
    return true;
  }

  /** What callers are told while the model is set aside; undefined if it is not. */
  refusalOf(model: string, digest: string): PlimsollError | undefined {
    const trouble = this.#troubles.get(model);
    if (trouble === undefined || trouble.digest !== digest) return undefined;
    const leftMs = trouble.untilMs - this.#now();
    if (leftMs <= 0) return undefined;
    const retryAfterSeconds = Math.ceil(leftMs / 1000);
    const message = `model ${model} ended its workers or did not answer, whatever the text; it is set aside for ${retryAfterSeconds} s`;
    return new PlimsollError('MODEL_UNUSABLE', message, { retryAfterSeconds });
  }

  #troubleOf(model: string, digest: string): Trouble {
    const known = this.#troubles.get(model);
    if (known?.digest === digest) return known;
    const trouble = { digest, failures: 0, pauseMs: FIRST_PAUSE_MS, untilMs: 0 };
    this.#troubles.set(model, trouble);
    return trouble;
  }
}
