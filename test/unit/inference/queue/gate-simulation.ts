/** A server in virtual time: the real queue, scheduler and gate; workers whose batches take a given time. */
import { PlimsollError } from '../../../../src/errors.js';
import {
  type Expectation,
  NO_EXPECTATION,
  QueueGate,
} from '../../../../src/inference/queue/queue-gate.js';
import { plan } from '../../../../src/inference/queue/scheduler.js';
import { type WaitingRow, WaitingRows } from '../../../../src/inference/queue/waiting-rows.js';

export interface Load {
  /** Each sends its next text when its last one was answered, refused or late. */
  readonly users: number;
  readonly deadlineMs: number;
  /** How much slower the workers are at a time, as beside a busy neighbour. */
  readonly slowdown: (ms: number) => number;
  readonly seconds: number;
  /** Without one, every request waits until its deadline. */
  readonly hasGate: boolean;
}

export interface Outcome {
  readonly answeredMs: readonly number[];
  /** Accepted, and not answered in time. */
  readonly late: number;
  readonly refused: number;
  /** Accepted, and given up when their turn came. */
  readonly givenUp: number;
}

interface Row extends WaitingRow {
  readonly sentMs: number;
  readonly expectation: Expectation;
  readonly done: () => void;
  isDone: boolean;
  alone?: boolean;
}

const WORKERS = 2;
const FIXED_MS = 20;
const MS_PER_CHARACTER = 0.35;
/** Standard deviation of the logarithm of a batch's time. */
const NOISE = 0.15;
const [SHORTEST, LONGEST] = [200, 900];
/** As much as the server asks for at least. */
const RETRY_MS = 1000;

/** Of one batch: a fixed cost, and each character's. */
function evenMsOf(sizes: readonly number[]): number {
  return FIXED_MS + MS_PER_CHARACTER * sizes.reduce((sum, size) => sum + size, 0);
}

export function simulate(load: Load): Outcome {
  const { deadlineMs, hasGate } = load;
  const random = randomNumbers();
  const timeline = new Timeline();
  const waiting = new WaitingRows<Row>(2048);
  const gate = new QueueGate({ maxWaiting: 10_000, maxWaitingOfUser: 10_000, deadlineMs });
  const isBusy = Array.from({ length: WORKERS }, () => false);
  const endsMs = Array.from({ length: WORKERS }, () => 0);
  const answeredMs: number[] = [];
  let [late, refused, givenUp] = [0, 0, 0];

  const finish = (row: Row, tookMs: number) => {
    row.isDone = true;
    gate.learn(row.expectation, tookMs);
    row.done();
  };
  const run = (worker: number, rows: readonly Row[]) => {
    const sizes = rows.map((row) => row.size);
    const isLate = (row: Row, of: readonly number[]) =>
      hasGate && gate.isTooLate(timeline.nowMs - row.sentMs, 'm', of);
    if (rows.some((row) => isLate(row, sizes))) {
      for (const row of rows) {
        row.alone ||= isLate(row, sizes);
        if (!isLate(row, [row.size])) waiting.putBack(row);
        else {
          givenUp += 1;
          finish(row, Number.POSITIVE_INFINITY);
        }
      }
      return;
    }
    isBusy[worker] = true;
    const expectedMs = gate.batchMs('m', sizes);
    endsMs[worker] = Number.isFinite(expectedMs) ? timeline.nowMs + expectedMs : 0;
    const evenMs = evenMsOf(sizes) * load.slowdown(timeline.nowMs);
    const ms = evenMs * Math.exp(NOISE * random.normal());
    timeline.after(ms, () => {
      isBusy[worker] = false;
      gate.observe('m', sizes, ms);
      for (const row of rows.filter(({ isDone }) => !isDone)) {
        answeredMs.push(timeline.nowMs - row.sentMs);
        finish(row, timeline.nowMs - row.sentMs);
      }
      pump();
    });
  };
  const leftMs = () =>
    endsMs.reduce((sum, end, at) => sum + (isBusy[at] ? Math.max(0, end - timeline.nowMs) : 0), 0) /
    WORKERS;
  const pump = () => {
    for (;;) {
      const views = isBusy.flatMap((busy, id) =>
        busy ? [] : [{ id: `${id}`, capacity: 'now' as const, models: new Set(['m']) }],
      );
      const dispatch = plan(waiting, views, { maxItems: 16, maxSize: 2048 });
      if (dispatch === undefined) return;
      run(Number(dispatch.worker), dispatch.rows);
    }
  };
  const send = (user: string, next: () => void) => {
    const size = Math.round(SHORTEST + (LONGEST - SHORTEST) * random.next() ** 2);
    let expectation = NO_EXPECTATION;
    try {
      if (hasGate)
        expectation = gate.check({ model: 'm', user, sizes: [size] }, waiting, WORKERS, leftMs());
    } catch (error) {
      if (!(error instanceof PlimsollError)) throw error;
      refused += 1;
      timeline.after(Math.max(RETRY_MS, 1000 * (error.retryAfterSeconds ?? 0)), next);
      return;
    }
    // Not in this call: whoever is given up sends again at once.
    const done = () => timeline.after(0, next);
    const sentMs = timeline.nowMs;
    const row: Row = { model: 'm', user, size, sentMs, expectation, done, isDone: false };
    waiting.add(row);
    timeline.after(deadlineMs, () => {
      if (row.isDone) return;
      late += 1;
      waiting.remove(row);
      finish(row, Number.POSITIVE_INFINITY);
    });
    pump();
  };
  for (let user = 0; user < load.users; user += 1) {
    const loop = () => send(`user ${user}`, loop);
    timeline.after(7 * user, loop);
  }
  timeline.runUntil(load.seconds * 1000);
  return { answeredMs, late, refused, givenUp };
}

/** Events in virtual time. */
class Timeline {
  nowMs = 0;
  /** The next one last. */
  readonly #events: { readonly atMs: number; readonly happen: () => void }[] = [];

  after(ms: number, happen: () => void): void {
    const atMs = this.nowMs + ms;
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.atMs ?? 0) > atMs) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { atMs, happen });
  }

  runUntil(endMs: number): void {
    for (let next = this.#events.pop(); next !== undefined; next = this.#events.pop()) {
      if (next.atMs > endMs) return;
      this.nowMs = next.atMs;
      next.happen();
    }
  }
}

/** The same numbers every time (a linear congruential generator, Numerical Recipes). */
function randomNumbers() {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () =>
    Math.sqrt(-2 * Math.log(next() + Number.MIN_VALUE)) * Math.cos(2 * Math.PI * next());
  return { next, normal };
}
