import { type ErrorCode, PlimsollError } from '../../../errors.js';
import type { Model } from '../../intake/repository.js';

interface Failure {
  readonly signature: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** A disk that failed is left alone for a while, which doubles with each failure in a row. */
interface DiskFailure {
  readonly error: PlimsollError;
  readonly delayMs: number;
  readonly untilMs: number;
}

const FIRST_DELAY_MS = 1000;
const MOST_DELAY_MS = 30_000;

/** Models that could not be prepared, so that the work is not done again for nothing. */
export class KnownFailures {
  readonly #failures = new Map<string, Failure>();
  readonly #diskFailures = new Map<string, DiskFailure>();

  /** Why this state of the model could not be prepared, if that was tried. */
  of(model: Model): Failure | undefined {
    const failure = this.#failures.get(model.id);
    return failure?.signature === model.signature ? failure : undefined;
  }

  /** @throws PlimsollError what is known of the model, or of the disk */
  throwKnown(model: Model): void {
    const failure = this.of(model);
    if (failure !== undefined) throw new PlimsollError(failure.code, failure.message);
    const disk = this.#diskFailures.get(model.id);
    const leftMs = (disk?.untilMs ?? 0) - performance.now();
    if (disk === undefined || leftMs <= 0) return;
    const { code, message } = disk.error;
    const retryAfterSeconds = Math.ceil(leftMs / 1000);
    throw new PlimsollError(code, message, { retryAfterSeconds });
  }

  /** Notes a failure. @returns the error */
  remembered(model: Model, error: unknown): unknown {
    if (!(error instanceof PlimsollError)) return error;
    const { code } = error;
    if (code === 'MODEL_UNUSABLE') {
      const message = error.message + otherGraph(model, error.message);
      this.#failures.set(model.id, { signature: model.signature, code, message });
      return new PlimsollError(code, message, { cause: error });
    }
    const { message } = error;
    if (code === 'STORAGE_UNAVAILABLE') {
      const last = this.#diskFailures.get(model.id)?.delayMs ?? FIRST_DELAY_MS / 2;
      const delayMs = Math.min(MOST_DELAY_MS, last * 2);
      const untilMs = performance.now() + delayMs;
      this.#diskFailures.set(model.id, { error, delayMs, untilMs });
      const retryAfterSeconds = Math.ceil(delayMs / 1000);
      return new PlimsollError(code, message, { cause: error, retryAfterSeconds });
    }
    return error;
  }

  /** The model was prepared. */
  forget(model: string): void {
    this.#failures.delete(model);
    this.#diskFailures.delete(model);
  }
}

/** What else may be tried, where it may be the graph that is at fault. */
function otherGraph({ graphs, graphFile, dtype }: Model, message: string): string {
  const other = graphs.find(({ file }) => file !== graphFile);
  if (other === undefined || /tokenizer/i.test(message)) return '';
  const how =
    other.dtype === dtype
      ? `it is taken once ${graphFile} is removed`
      : `{"dtype": "${other.dtype}"} in plimsoll.json takes it`;
  return `. The folder has another graph, ${other.file}: ${how}`;
}
