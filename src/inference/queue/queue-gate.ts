import { PlimsollError } from '../../errors.js';
import type { WaitingRow, WaitingRows } from './waiting-rows.js';

export interface QueueGateOptions {
  /** Inputs that wait at most. */
  readonly maxWaiting: number;
  /** Inputs of one user that wait at most; see {@link QueueGate.check}. */
  readonly maxWaitingOfUser: number;
  /** An answer is of no use after this. */
  readonly deadlineMs: number;
}

/** What a request brings. */
export interface Arrival {
  readonly model: string;
  readonly user: string;
  /** Inputs. */
  readonly count: number;
  /** Sum of their sizes, in characters. */
  readonly size: number;
}

/** What is waiting, as far as it matters here. */
export type WaitingWork = Pick<
  WaitingRows<WaitingRow>,
  'size' | 'models' | 'sizeOf' | 'countOfUser' | 'activeUsers' | 'quantum' | 'turnsFor'
>;

/** Batches count for less by a factor of e with each second that workers have been busy since. */
const RATE_MEMORY_MS = 1000;
const LONGEST_RETRY_SECONDS = 60;
/** Weight of the newest answer in what is learned of the expectations. */
const NEWEST_WEIGHT = 0.02;
/** Deviations that are allowed for beside the mean, as TCP does for its round trips (RFC 6298): 1 in 1,000 is later. */
const DEVIATIONS = 4;
/** An answer that just misses its deadline was work for nothing: how much later it may come at least, and at most. */
const LEAST_MARGIN = 2;
const MOST_MARGIN = 4;
/** Before anything was learned an answer may come three times as late. */
const FIRST_DEVIATION = 0.5;
/** Expectations below this part of the deadline are not worth learning from: they are far from being refused. */
const LEARNED_SHARE = 0.1;

/** What a model's batches took of late. */
interface Rate {
  ms: number;
  size: number;
}

/**
 * Decides who may wait, and tells the others when to come back. What a model's characters cost is
 * learned from the batches that ran; before the first one nothing is refused for its cost. How far
 * expectations can be trusted is learned from what came of them.
 */
export class QueueGate {
  readonly #options: QueueGateOptions;
  readonly #rates = new Map<string, Rate>();
  /** Of what answers took ÷ what was expected: mean and mean deviation. */
  #error = { mean: 1, deviation: FIRST_DEVIATION };

  constructor(options: QueueGateOptions) {
    this.#options = options;
  }

  /**
   * A batch was answered after so long on one worker, loading left out. Sums are kept, not ratios: a short
   * text takes long for each of its few characters.
   */
  observe(model: string, size: number, ms: number): void {
    const rate = this.#rates.get(model) ?? { ms: 0, size: 0 };
    this.#rates.set(model, rate);
    const kept = Math.exp(-Math.max(0, ms) / RATE_MEMORY_MS);
    rate.ms = rate.ms * kept + Math.max(0, ms);
    rate.size = rate.size * kept + Math.max(1, size);
  }

  /** How long a batch of that size takes on one worker; infinite before the first one of the model. */
  batchMs(model: string, size: number): number {
    return this.#rates.has(model) ? this.#costMs(model, size) : Number.POSITIVE_INFINITY;
  }

  /** What was expected after `expectedMs` (see {@link check}) took so long, or at least so long. */
  learn(expectedMs: number, tookMs: number): void {
    if (expectedMs < this.#options.deadlineMs * LEARNED_SHARE) return;
    const off = tookMs / expectedMs - this.#error.mean;
    this.#error = {
      mean: this.#error.mean + NEWEST_WEIGHT * off,
      deviation: this.#error.deviation + NEWEST_WEIGHT * (Math.abs(off) - this.#error.deviation),
    };
  }

  /** How much later than expected an answer may come. */
  get #margin(): number {
    const { mean, deviation } = this.#error;
    return Math.max(LEAST_MARGIN, Math.min(MOST_MARGIN, mean + DEVIATIONS * deviation));
  }

  /** Time that the workers need for all that waits. */
  waitingMs(waiting: WaitingWork, workers: number): number {
    let ms = 0;
    for (const model of waiting.models) ms += this.#costMs(model, waiting.sizeOf(model));
    return ms / workers;
  }

  /**
   * Passes, or throws:
   *
   * 1. INVALID_INPUT for more inputs than can ever wait.
   * 2. QUEUE_FULL if they do not fit into the queue.
   * 3. TOO_MANY_REQUESTS for a user who has inputs waiting and would hold more than its share with
   *    these. One who has none is not refused for its share: a large request may always come alone.
   * 4. QUEUE_FULL if the answer is expected after the deadline, or so shortly before it that it may well come
   *    after it, by how far answers came from expectations before; see {@link QueueGate.expectedMs}. With
   *    nobody else waiting it may come: then the deadline itself decides.
   *
   * @returns ms until the answer is expected; 0 with nobody else waiting
   * @throws PlimsollError with `retryAfterSeconds`: waiting work ÷ measured rate, rounded up, 1 to 60.
   */
  check(arrival: Arrival, waiting: WaitingWork, workers: number): number {
    const { maxWaiting, maxWaitingOfUser, deadlineMs } = this.#options;
    const { user, count } = arrival;
    if (count > maxWaiting) {
      const message = `${count} inputs are more than can ever wait (queue.max_inputs is ${maxWaiting})`;
      throw new PlimsollError('INVALID_INPUT', message); // 1
    }
    const waitMs = this.waitingMs(waiting, workers);
    if (waiting.size + count > maxWaiting) {
      const message = `${waiting.size} inputs are waiting already (queue.max_inputs is ${maxWaiting})`;
      throw refusal('QUEUE_FULL', message, waitMs); // 2
    }
    const own = waiting.countOfUser(user);
    if (own > 0 && own + count > maxWaitingOfUser) {
      const message = `this user has ${own} inputs waiting; with ${count} more it would have over ${maxWaitingOfUser}, its share (queue.user_share) of the queue`;
      throw refusal('TOO_MANY_REQUESTS', message, (waitMs * own) / waiting.size); // 3
    }
    if (waiting.size === 0) return 0;
    const expectedMs = this.expectedMs(arrival, waiting, workers);
    const mostMs = deadlineMs / this.#margin;
    if (expectedMs > mostMs) {
      const lateMs = Math.ceil(expectedMs * this.#margin);
      const message = `${waiting.size} inputs are waiting: the answer is expected after ${Math.ceil(expectedMs)} ms, but may take ${lateMs}, and request.deadline_ms is ${deadlineMs}`;
      throw refusal('QUEUE_FULL', message, expectedMs - mostMs); // 4
    }
    return expectedMs;
  }

  /**
   * Users are served in turn, so before each turn that the user needs for all it has, every other active user
   * has one. As much as waits of the others may come meanwhile; that they stay for all the turns of a request
   * of thousands of inputs is not expected.
   */
  expectedMs({ model, user, size }: Arrival, waiting: WaitingWork, workers: number): number {
    const waitMs = this.waitingMs(waiting, workers);
    const own = waiting.countOfUser(user);
    const ownMs = this.#costMs(model, size) / workers + (waitMs * own) / waiting.size;
    let characters = 0;
    for (const each of waiting.models) characters += waiting.sizeOf(each);
    const turnMs = (waitMs * waiting.quantum) / characters;
    const others = waiting.activeUsers - (own > 0 ? 1 : 0);
    const othersMs = waitMs * (1 - own / waiting.size);
    const roundMs = Math.min(othersMs, others * turnMs);
    return ownMs + Math.min(waiting.turnsFor(user, size) * roundMs, 2 * othersMs);
  }

  #costMs(model: string, size: number): number {
    const rate = this.#rates.get(model);
    return rate === undefined ? 0 : (size * rate.ms) / rate.size;
  }
}

function refusal(code: 'QUEUE_FULL' | 'TOO_MANY_REQUESTS', message: string, waitMs: number) {
  const seconds = Math.ceil(waitMs / 1000);
  const retryAfterSeconds = Math.max(1, Math.min(LONGEST_RETRY_SECONDS, seconds));
  return new PlimsollError(code, message, { retryAfterSeconds });
}
