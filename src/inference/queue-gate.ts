import { PlimsollError } from '../errors.js';
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
  'size' | 'models' | 'sizeOf' | 'countOfUser' | 'activeUsers'
>;

/** Weight of the newest batch in the mean: the last ten or so count. */
const NEWEST_WEIGHT = 0.2;
const LONGEST_RETRY_SECONDS = 60;
/** The expectation is off by a fifth at times; an answer that just misses its deadline was work for nothing. */
const DEADLINE_SHARE = 0.8;

/**
 * Decides who may wait, and tells the others when to come back. What a model's characters cost is
 * learned from the batches that ran; before the first one nothing is refused for its cost.
 */
export class QueueGate {
  readonly #options: QueueGateOptions;
  readonly #msPerCharacter = new Map<string, number>();

  constructor(options: QueueGateOptions) {
    this.#options = options;
  }

  /** A batch was answered after so long on one worker, loading left out. */
  observe(model: string, size: number, ms: number): void {
    const measured = Math.max(0, ms) / Math.max(1, size);
    const known = this.#msPerCharacter.get(model) ?? measured;
    this.#msPerCharacter.set(model, known + NEWEST_WEIGHT * (measured - known));
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
   * 4. QUEUE_FULL if the answer is expected after (or shortly before) the deadline. Users are served in turn, so a user's
   *    request waits for as much work of every other active user as its own is, and at most for
   *    all that waits. With nobody else waiting it may come: then the deadline itself decides.
   *
   * @throws PlimsollError with `retryAfterSeconds`: waiting work ÷ measured rate, rounded up, 1 to 60.
   */
  check(arrival: Arrival, waiting: WaitingWork, workers: number): void {
    const { maxWaiting, maxWaitingOfUser, deadlineMs } = this.#options;
    const { model, user, count, size } = arrival;
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
    if (waiting.size === 0) return;
    const ownMs = this.#costMs(model, size) / workers;
    const queuedMs = (waitMs * own) / waiting.size;
    const turnMs = Math.max(ownMs, waitMs / waiting.size);
    const expectedMs = Math.min(waitMs + ownMs, (queuedMs + turnMs) * (waiting.activeUsers + 1));
    if (expectedMs > deadlineMs * DEADLINE_SHARE) {
      const message = `${waiting.size} inputs are waiting: the answer is expected after ${Math.ceil(expectedMs)} ms, and request.deadline_ms is ${deadlineMs}`;
      throw refusal('QUEUE_FULL', message, expectedMs - deadlineMs * DEADLINE_SHARE); // 4
    }
  }

  #costMs(model: string, size: number): number {
    return size * (this.#msPerCharacter.get(model) ?? 0);
  }
}

function refusal(code: 'QUEUE_FULL' | 'TOO_MANY_REQUESTS', message: string, waitMs: number) {
  const seconds = Math.ceil(waitMs / 1000);
  const retryAfterSeconds = Math.max(1, Math.min(LONGEST_RETRY_SECONDS, seconds));
  return new PlimsollError(code, message, { retryAfterSeconds });
}
