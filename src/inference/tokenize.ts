import { PlimsollError } from '../errors.js';
import type { WorkerPool } from './workers/pool.js';
import type { TokenizedText, TokenizerHandle } from './workers/protocol.js';
import { WorkerGoneError } from './workers/worker-gone.js';

/** A worker that takes longer for the texts of one request is replaced. */
const TIMEOUT_MS = 60_000;

/**
 * Tokens of texts as a model sees them, made by a worker that has nothing to do, if there is one.
 *
 * @throws PlimsollError MODEL_UNUSABLE, WORKER_LOST
 */
export async function tokenizeIn(
  pool: WorkerPool,
  tokenizer: TokenizerHandle,
  inputs: readonly string[],
): Promise<readonly TokenizedText[]> {
  const ready = pool.workers.filter(({ state }) => state === 'ready');
  const worker = ready.find(({ idle }) => idle) ?? ready[0];
  const later = { retryAfterSeconds: 1 };
  if (worker === undefined) throw new PlimsollError('WORKER_LOST', 'no worker is ready', later);
  try {
    return await worker.tokenize({ type: 'tokenize', tokenizer, inputs }, TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof WorkerGoneError)) throw error;
    throw new PlimsollError('WORKER_LOST', 'a worker ended while it tokenized', later);
  }
}
