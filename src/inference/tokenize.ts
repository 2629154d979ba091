import { PlimsollError } from '../errors.js';
import type { WorkerPool } from './workers/pool.js';
import type { TokenizedText, TokenizerHandle } from './workers/protocol.js';
import { WorkerGoneError } from './workers/worker-gone.js';

/** A worker that takes longer for the texts of one request is replaced. */
const TIMEOUT_MS = 60_000;

/** Characters (UTF-16) of the texts of one request that are not cut: an object is made of each of their tokens. */
export const MOST_WHOLE_CHARACTERS = 2 ** 20;

/**
 * Tokens of texts as a model sees them, made by a worker that has nothing to do, if there is one.
 *
 * @param isWhole all tokens; else at most as many as the model takes.
 * @throws PlimsollError MODEL_UNUSABLE, WORKER_LOST; INVALID_INPUT for whole texts beyond {@link MOST_WHOLE_CHARACTERS}
 */
export async function tokenizeIn(
  pool: WorkerPool,
  tokenizer: TokenizerHandle,
  inputs: readonly string[],
  isWhole = false,
): Promise<readonly TokenizedText[]> {
  if (isWhole) refuseTooLong(inputs);
  const ready = pool.workers.filter(({ state }) => state === 'ready');
  const worker = ready.find(({ idle }) => idle) ?? ready[0];
  const later = { retryAfterSeconds: 1 };
  if (worker === undefined) throw new PlimsollError('WORKER_LOST', 'no worker is ready', later);
  try {
    return await worker.tokenize({ type: 'tokenize', tokenizer, inputs, isWhole }, TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof WorkerGoneError)) throw error;
    throw new PlimsollError('WORKER_LOST', 'a worker ended while it tokenized', later);
  }
}

function refuseTooLong(inputs: readonly string[]): void {
  const characters = inputs.reduce((sum, { length }) => sum + length, 0);
  if (characters <= MOST_WHOLE_CHARACTERS) return;
  const reason = `the texts have ${characters} characters together; at most ${MOST_WHOLE_CHARACTERS} are tokenized whole in one request: send them in several`;
  throw new PlimsollError('INVALID_INPUT', reason);
}
