import { createHash } from 'node:crypto';
import { type Abortable, unlessAborted } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { TokenizerChoice } from '../models/run/serving-plan.js';
import { RefusedTexts } from './faults/refused-texts.js';
import { WaitingCalls } from './queue/waiting-calls.js';
import type { WorkerPool } from './workers/pool.js';
import type { TokenizedText, TokenizeRequest } from './workers/protocol.js';
import type { TimeLimit } from './workers/time-limit.js';
import type { Worker } from './workers/worker.js';
import { WorkerGoneError } from './workers/worker-gone.js';

/** Calls that may wait for each worker; each takes milliseconds, or seconds if it parses a large tokenizer. */
const WAITING_PER_WORKER = 8;

/** CPU time that any call may use: a tokenizer.json of 17 MB takes 2 s to parse on a slow core. */
const LEAST_BUDGET_MS = 10_000;
/** Both tokenizers make at least 100 characters a millisecond of honest text; ten times that is allowed. */
const BUDGET_CHARACTERS_PER_MS = 10;
/** On a busy machine a worker waits for its CPU. */
const HARD_FACTOR = 3;

/** Texts as a model sees them. */
export interface TokenizedTexts {
  readonly model: string;
  /** What the model takes of a text. */
  readonly maxTokens: number;
  readonly tokenizer: TokenizerChoice['kind'];
  readonly texts: readonly TokenizedText[];
}

const LATER = { retryAfterSeconds: 1 };

/** Characters (UTF-16) of the texts of one request that are not cut: an object is made of each of their tokens. */
export const MOST_WHOLE_CHARACTERS = 2 ** 20;

/**
 * Tokenizes texts as models see them, in workers. Each worker has at most one such call at a time, which counts as its
 * work; a few more wait. So batches and calls take turns, and neither can keep the other from a worker.
 */
export class TokenizeCalls {
  readonly #pool: WorkerPool;
  readonly #mostTokens: number;
  /** Workers that have a call. */
  readonly #busy = new Set<Worker>();
  readonly #waiting = new WaitingCalls();
  readonly #refused = new RefusedTexts();

  /** @param mostTokens of one answer; unlimited by default */
  constructor(pool: WorkerPool, mostTokens = Number.POSITIVE_INFINITY) {
    this.#pool = pool;
    this.#mostTokens = mostTokens;
  }

  /**
   * Tokens of texts as a model sees them.
   *
   * @param abort the deadline, or the caller's leaving: the call leaves the line; one that runs already goes on to its
   *    own limit, as a worker cannot be interrupted.
   * @throws PlimsollError MODEL_UNUSABLE, QUEUE_FULL, WORKER_LOST, INPUT_REFUSED, ANSWER_TOO_LARGE; INVALID_INPUT for
   *    whole texts beyond {@link MOST_WHOLE_CHARACTERS}; the signal's reason
   */
  async tokenize(
    asked: Omit<TokenizeRequest, 'type' | 'mostTokens'>,
    { signal }: Abortable,
  ): Promise<readonly TokenizedText[]> {
    signal.throwIfAborted();
    if (asked.isWhole === true) refuseTooLong(asked.inputs);
    if (this.#refused.size > 0) {
      const reason = this.#refused.reasonOf(keyOf(asked));
      if (reason !== undefined) throw new PlimsollError('INPUT_REFUSED', reason);
    }
    const worker = await this.#worker(asked, signal);
    const run = this.#run(worker, { type: 'tokenize', ...asked, mostTokens: this.#mostTokens });
    return unlessAborted(run, signal);
  }

  /** Takes a worker at once, or waits for its turn. */
  async #worker(
    asked: Pick<TokenizeRequest, 'model' | 'digest'>,
    signal: AbortSignal,
  ): Promise<Worker> {
    for (let isFirst = true; ; isFirst = false) {
      const ready = this.#pool.workers.filter(({ state }) => state === 'ready');
      if (ready.length === 0) {
        // The next one finds out for itself: nobody else will wake it.
        this.#waiting.wakeNext();
        throw new PlimsollError('WORKER_LOST', 'no worker is ready', LATER);
      }
      const isBehind = isFirst && this.#waiting.count > 0;
      const free = isBehind ? [] : ready.filter((worker) => !this.#busy.has(worker));
      const worker = bestOf(free, asked);
      if (worker !== undefined) {
        this.#busy.add(worker);
        return worker;
      }
      if (this.#waiting.count >= WAITING_PER_WORKER * ready.length) {
        const message = `${this.#waiting.count} calls wait to be tokenized already`;
        throw new PlimsollError('QUEUE_FULL', message, LATER);
      }
      await this.#waiting.turn(signal);
    }
  }

  async #run(worker: Worker, request: TokenizeRequest): Promise<readonly TokenizedText[]> {
    try {
      return await worker.tokenize(request, limitOf(request.inputs));
    } catch (error) {
      if (!(error instanceof WorkerGoneError)) throw error;
      const isBlamed = error.ending === 'overran' || error.ending === 'outgrew';
      if (isBlamed && error.stage === 'running') {
        const message =
          'the texts took far longer to tokenize, or more memory, than texts of their length take; they are refused for some minutes';
        this.#refused.add(keyOf(request), message);
        throw new PlimsollError('INPUT_REFUSED', message);
      }
      throw new PlimsollError('WORKER_LOST', 'a worker ended while it tokenized', LATER);
    } finally {
      this.#busy.delete(worker);
      this.#waiting.wakeNext();
    }
  }
}

/** An idle worker that has the model open, else an idle one, else one that has it open, else any. */
function bestOf(
  workers: readonly Worker[],
  { model, digest }: Pick<TokenizeRequest, 'model' | 'digest'>,
): Worker | undefined {
  const rank = ({ idle, loaded }: Worker): number =>
    (idle ? 2 : 0) + (digest !== undefined && loaded.get(model)?.digest === digest ? 1 : 0);
  return [...workers].sort((a, b) => rank(b) - rank(a))[0];
}

function refuseTooLong(inputs: readonly string[]): void {
  const characters = inputs.reduce((sum, { length }) => sum + length, 0);
  if (characters <= MOST_WHOLE_CHARACTERS) return;
  const reason = `the texts have ${characters} characters together; at most ${MOST_WHOLE_CHARACTERS} are tokenized whole in one request: send them in several`;
  throw new PlimsollError('INVALID_INPUT', reason);
}

function keyOf({
  model,
  digest,
  inputs,
}: Pick<TokenizeRequest, 'model' | 'digest' | 'inputs'>): string {
  return createHash('sha256')
    .update(JSON.stringify([model, digest, inputs]))
    .digest('base64');
}

function limitOf(inputs: readonly string[]): TimeLimit {
  const characters = inputs.reduce((sum, { length }) => sum + length, 0);
  const budgetMs = LEAST_BUDGET_MS + characters / BUDGET_CHARACTERS_PER_MS;
  return { budgetMs, hardMs: HARD_FACTOR * budgetMs };
}
