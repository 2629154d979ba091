/** The users of one session: when each of them sends. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RequestRow, UserOutcome } from './run.js';

/** Concurrent requests of an open loop. Beyond that the next one is sent late, and its lateness counts. */
export const MAX_IN_FLIGHT = 1024;

export interface UsersOptions {
  readonly users: number;
  /** Requests of each user. */
  readonly requests: number;
  readonly stop: AbortSignal;
  /** Milliseconds of the run's clock. */
  readonly now: () => number;
  /**
   * Sends one request; both count from 0.
   *
   * @returns null when the run was stopped before the reply came.
   */
  readonly send: (user: number, request: number, dueMs: number) => Promise<RequestRow | null>;
  /** Before this request, from 0, the users of a closed loop wait for each other; null: never. */
  readonly barrierBefore: number | null;
  /** Users who have sent all their requests continue while this returns true. */
  readonly goOn: () => boolean;
}

/** Each user sends the next request when the last one is answered. @returns the outcome of each user */
export function closedLoop(options: UsersOptions): Promise<readonly UserOutcome[]> {
  const { users, requests, stop, now, send, goOn, barrierBefore } = options;
  const barrier = new Barrier(users);
  const play = async (user: number): Promise<UserOutcome> => {
    let outcome: UserOutcome = 'successful';
    let hasPassed = false;
    try {
      for (let request = 0; request < requests || goOn(); request += 1) {
        if (request === barrierBefore) {
          hasPassed = true;
          await barrier.arrive();
        }
        if (stop.aborted) return 'unfinished';
        const row = await send(user, request, now());
        if (row === null) return 'unfinished';
        if (!row.ok) outcome = 'failed';
      }
      return outcome;
    } finally {
      // A user who was stopped earlier must not hold up the others.
      if (!hasPassed) barrier.leave();
    }
  };
  return Promise.all(Array.from({ length: users }, (_, user) => play(user)));
}

/**
 * A request is due every 1/rate seconds, whether or not earlier ones are answered; users take turns. Response
 * times count from the due time, so that a stalled server cannot hide the requests that it delayed (coordinated
 * omission: Gil Tene, "How NOT to measure latency", 2013).
 */
export async function openLoop(
  options: UsersOptions,
  ratePerS: number,
): Promise<readonly UserOutcome[]> {
  const { users, requests, stop, now, send } = options;
  const outcomes = Array<UserOutcome>(users).fill('successful');
  const underWay = new Set<Promise<void>>();
  const beganMs = now();
  for (let turn = 0; turn < users * requests; turn += 1) {
    const user = turn % users;
    const dueMs = beganMs + (turn * 1000) / ratePerS;
    await until(dueMs, now, stop);
    while (underWay.size >= MAX_IN_FLIGHT) await Promise.race(underWay);
    if (stop.aborted) {
      await Promise.all(underWay);
      return outcomes.fill('unfinished');
    }
    const sent = send(user, Math.floor(turn / users), dueMs)
      .then((row) => {
        if (row === null) outcomes[user] = 'unfinished';
        else if (!row.ok && outcomes[user] === 'successful') outcomes[user] = 'failed';
      })
      .finally(() => underWay.delete(sent));
    underWay.add(sent);
  }
  await Promise.all(underWay);
  return outcomes;
}

/** Nobody continues before everybody has arrived or left. */
class Barrier {
  #missing: number;
  #open: () => void = () => undefined;
  readonly #complete: Promise<void>;

  constructor(users: number) {
    this.#missing = users;
    this.#complete = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  arrive(): Promise<void> {
    this.leave();
    return this.#complete;
  }

  leave(): void {
    this.#missing -= 1;
    if (this.#missing === 0) this.#open();
  }
}

async function until(dueMs: number, now: () => number, stop: AbortSignal): Promise<void> {
  const waitMs = dueMs - now();
  if (waitMs <= 0) return;
  await delay(waitMs, undefined, { signal: stop }).catch(() => undefined);
}
