import { PlimsollError } from '../../errors.js';
import { CostModel } from './cost-model.js';
import { lengthOctave, OCTAVES } from './length-class.js';
import type { WaitingRow, WaitingRows } from './waiting-rows.js';

export interface QueueGateOptions {
  /** Most inputs that may wait. */
  readonly maxWaiting: number;
  /** Most inputs of one user that may wait; see {@link QueueGate.check}. */
  readonly maxWaitingOfUser: number;
  /** An answer is useless after this. */
  readonly deadlineMs: number;
}

/** A request as it arrives. */
export interface Arrival {
  readonly model: string;
  readonly user: string;
  /** Of its inputs, in characters. */
  readonly sizes: readonly number[];
}

/** When the answer to a request is expected. */
export interface Expectation {
  /** From its arrival; 0 where nothing was expected. */
  readonly ms: number;
  /** Of its longest text; see {@link lengthOctave}. */
  readonly octave: number;
}

export const NO_EXPECTATION: Expectation = { ms: 0, octave: 0 };

/** The part of the queue that matters here. */
export type WaitingWork = Pick<
  WaitingRows<WaitingRow>,
  | 'size'
  | 'models'
  | 'sizeOf'
  | 'octavesOf'
  | 'countOfUser'
  | 'activeUsers'
  | 'quantum'
  | 'turnsFor'
>;

const LONGEST_RETRY_SECONDS = 60;
/** One answer in 200 may come later than allowed for; it is given up when its turn comes. */
const LATENESS_QUANTILE = 0.995;
const LATENESS_STEP = 0.02;
/** Before anything was learned. */
const FIRST_LATENESS = 1.1;
/**
 * Never below 1: answers that come too late are not counted with all of their time, so under overload what is
 * learned would sink and let in more and more. Not above 1.3: what makes many answers later than that has just
 * begun, and the rates follow soon.
 */
const LEAST_LATENESS = 1;
const MOST_LATENESS = 1.3;
/** Expectations below this part of the deadline are not worth learning from: they are far from being refused. */
const LEARNED_SHARE = 0.1;
/** A row is given up when its batch would not end in time even if it took less than this many times as long. */
const BATCH_RESERVE = 1.5;
/**
 * An answer is written later than its batch ends by what the event loop does meanwhile: a collection, a burst of
 * arrivals. Of a short deadline this part at most.
 */
const EVENT_LOOP_MS = 50;
const EVENT_LOOP_SHARE = 0.03;
/** A row that has waited for less of its deadline than this is never given up: it came to a short deadline. */
const WAITED_SHARE = 0.5;

/**
 * Decides who may wait, and tells the others when to come back. It refuses what would be late, and no more: what
 * texts cost a model is learned from the batches that ran (before the first one nothing is refused for its
 * cost), and how far expectations can be trusted from what came of them. Expectations near the deadline are
 * never exact, so the rest is decided when the turn of a row has come: {@link QueueGate.isTooLate}.
 */
export class QueueGate {
  readonly #options: QueueGateOptions;
  readonly #costs = new Map<string, CostModel>();
  /**
   * Of what answers took ÷ what was expected: hardly any is more. By octave of length, as short texts run along with others before
   * their turn, and so make long ones wait.
   */
  readonly #lateness = Array.from({ length: OCTAVES }, () => FIRST_LATENESS);

  constructor(options: QueueGateOptions) {
    this.#options = options;
  }

  /**
   * A batch was answered.
   *
   * @param sizes of its rows, in characters
   * @param ms time on one worker, loading left out
   */
  observe(model: string, sizes: readonly number[], ms: number): void {
    const cost = this.#costs.get(model) ?? new CostModel();
    this.#costs.set(model, cost);
    cost.observe(sizes, ms);
  }

  /** Expected time of a batch of such rows on one worker; infinite before the first one of the model. */
  batchMs(model: string, sizes: readonly number[]): number {
    return this.#costs.get(model)?.msOf(sizes) ?? Number.POSITIVE_INFINITY;
  }

  /** Most characters of a batch of the model that takes that long on one worker; infinite before its first one. */
  sizeWithin(model: string, ms: number): number {
    return this.#costs.get(model)?.sizeWithin(ms) ?? Infinity;
  }

  /**
   * An answer of which something was expected (see {@link check}) took so long.
   *
   * @param tookMs infinite if it was late, or given up.
   */
  learn({ ms, octave }: Expectation, tookMs: number): void {
    const lateness = this.#lateness[octave] ?? FIRST_LATENESS;
    if (ms < this.#options.deadlineMs * LEARNED_SHARE) return;
    // Steps that balance where a quantile is (H. Robbins, S. Monro, 1951). A mean would follow those, too, that
    // came early because they ran along with others: that says nothing of how late one may come.
    const isMore = tookMs > ms * lateness;
    const next = lateness + LATENESS_STEP * (isMore ? LATENESS_QUANTILE : LATENESS_QUANTILE - 1);
    this.#lateness[octave] = Math.max(LEAST_LATENESS, Math.min(MOST_LATENESS, next));
  }

  /**
   * Whether a row whose turn has come is not worth running, as its answer would be late: the time is better spent on
   * those behind it.
   *
   * @param waitedMs since it came.
   * @param sizes of the rows of the batch that it would run in.
   */
  isTooLate(waitedMs: number, model: string, sizes: readonly number[]): boolean {
    const { deadlineMs } = this.#options;
    if (waitedMs < WAITED_SHARE * deadlineMs || !this.#costs.has(model)) return false;
    const reserveMs = Math.min(EVENT_LOOP_MS, EVENT_LOOP_SHARE * deadlineMs);
    return waitedMs + BATCH_RESERVE * this.batchMs(model, sizes) + reserveMs > deadlineMs;
  }

  /** Time that the workers need for all that waits. */
  waitingMs(waiting: WaitingWork, workers: number): number {
    let ms = 0;
    for (const model of waiting.models) {
      ms += this.#costs.get(model)?.msOfOctaves(waiting.octavesOf(model)) ?? 0;
    }
    return ms / workers;
  }

  /**
   * Passes, or throws:
   *
   * 1. INVALID_INPUT for more inputs than can ever wait.
   * 2. QUEUE_FULL if they do not fit into the queue.
   * 3. TOO_MANY_REQUESTS for a user who has inputs waiting and would exceed its share with these. A user
   *    without any is not refused for its share: a large request may always come alone.
   * 4. QUEUE_FULL if the answer is expected after the deadline ({@link QueueGate.expectedMs}, times what answers
   *    have taken beyond that lately). With nobody else waiting it passes: then the deadline itself decides.
   *
   * @param leftMs until a worker is free, in the mean
   * @returns when the answer is expected; {@link NO_EXPECTATION} with nobody else waiting
   * @throws PlimsollError with `retryAfterSeconds`: waiting work ÷ measured rate, rounded up, 1 to 60.
   */
  check(arrival: Arrival, waiting: WaitingWork, workers: number, leftMs = 0): Expectation {
    const { maxWaiting, maxWaitingOfUser, deadlineMs } = this.#options;
    const { user, sizes } = arrival;
    const count = sizes.length;
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
    if (waiting.size === 0) return NO_EXPECTATION;
    const expectedMs = leftMs + this.expectedMs(arrival, waiting, workers);
    const octave = lengthOctave(longestOf(sizes));
    const likelyMs = expectedMs * (this.#lateness[octave] ?? FIRST_LATENESS);
    if (likelyMs > deadlineMs) {
      const message = `${waiting.size} inputs are waiting: the answer is expected after ${Math.ceil(likelyMs)} ms, and request.deadline_ms is ${deadlineMs}`;
      throw refusal('QUEUE_FULL', message, likelyMs - deadlineMs); // 4
    }
    return { ms: expectedMs, octave };
  }

  /**
   * Users are served in turn, so before each turn that this user needs, every other active user has one. Others
   * may add as much as they have waiting now; they are not expected to stay for all the turns of a request of
   * thousands of inputs.
   */
  expectedMs({ model, user, sizes }: Arrival, waiting: WaitingWork, workers: number): number {
    const waitMs = this.waitingMs(waiting, workers);
    const own = waiting.countOfUser(user);
    const ownMs = this.#runMs(model, sizes, workers) + (waitMs * own) / waiting.size;
    let characters = 0;
    for (const each of waiting.models) characters += waiting.sizeOf(each);
    const turnMs = (waitMs * waiting.quantum) / characters;
    const others = waiting.activeUsers - (own > 0 ? 1 : 0);
    const othersMs = waitMs * (1 - own / waiting.size);
    const roundMs = Math.min(othersMs, others * turnMs);
    return ownMs + Math.min(waiting.turnsFor(user, sizes) * roundMs, 2 * othersMs);
  }

  /** Workers share the rows of a request, but not the last row: it takes as long as it does. */
  #runMs(model: string, sizes: readonly number[], workers: number): number {
    const cost = this.#costs.get(model);
    if (cost === undefined) return 0;
    return Math.max(cost.msOf([longestOf(sizes)]), cost.msOf(sizes) / workers);
  }
}

function longestOf(sizes: readonly number[]): number {
  return sizes.reduce((most, size) => Math.max(most, size), 0);
}

/** For a row whose turn has come, and which is not worth running; see {@link QueueGate.isTooLate}. */
export function givenUp(deadlineMs: number): PlimsollError {
  const message = `the answer would come after request.deadline_ms (${deadlineMs})`;
  return new PlimsollError('QUEUE_FULL', message, { retryAfterSeconds: 1 });
}

function refusal(code: 'QUEUE_FULL' | 'TOO_MANY_REQUESTS', message: string, waitMs: number) {
  const seconds = Math.ceil(waitMs / 1000);
  const retryAfterSeconds = Math.max(1, Math.min(LONGEST_RETRY_SECONDS, seconds));
  return new PlimsollError(code, message, { retryAfterSeconds });
}
