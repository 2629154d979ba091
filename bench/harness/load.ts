/** Loads: users in closed loop, each sending its next request when the last one was answered. */
import { type Api, type ClassifyBody, describeFailure } from './api.js';
import type { Deferring, Fact } from './benchmark.js';
import { NotMeasuredError } from './checks.js';
import type { Reply } from './http-client.js';
import type { Texts } from './users/texts.js';

/** What became of the requests of a load. */
export class Tally {
  readonly replies: { readonly sentAtMs: number; readonly ms: number }[] = [];
  readonly failures: string[] = [];

  /** @returns whether it was answered */
  take(reply: Reply): boolean {
    if (reply.status !== 200) {
      this.failures.push(describeFailure(reply));
      return false;
    }
    this.replies.push({ sentAtMs: reply.sentAtMs, ms: reply.ms });
    return true;
  }

  /** A line for the table if something failed: the first failures, each kind once. */
  get failureFacts(): readonly Fact[] {
    const kinds = [...new Set(this.failures)].slice(0, 3);
    return kinds.map((value) => ({ fact: 'a request failed', value }));
  }

  /** Enough of the failures for the JSON. */
  get firstFailures(): readonly string[] {
    return this.failures.slice(0, 20);
  }
}

/** What comes from a server that has too little CPU time: a refusal, a missed deadline, or nothing in time. */
const TOO_BUSY = /^(429|503|504|0 timeout)/;

/** A request that failed, as a reason on a machine that is too busy, else as an error. */
export function failedRequest(failure: string): NotMeasuredError | Error {
  const reason = `a request was not answered: ${failure}`;
  return TOO_BUSY.test(failure) ? new NotMeasuredError(reason) : new Error(reason);
}

/**
 * A request that must be answered.
 *
 * @returns ms until it was
 * @throws NotMeasuredError if the machine was too busy, Error for any other reply
 */
export async function answeredMs(api: Api, body: ClassifyBody): Promise<number> {
  const reply = await api.classify(body);
  if (reply.status === 200) return reply.ms;
  throw failedRequest(describeFailure(reply));
}

/** Wait of a user after a failed request, so that a server that is down is not flooded. */
const AFTER_FAILURE_MS = 50;

/** Starts so many users, each repeating `step` until `goOn` says no. */
export async function closedLoop(
  users: number,
  goOn: () => boolean,
  step: (user: number) => Promise<boolean>,
): Promise<void> {
  const play = async (user: number) => {
    while (goOn()) if (!(await step(user))) await pause(AFTER_FAILURE_MS);
  };
  await Promise.all(Array.from({ length: users }, (_, user) => play(user)));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A load that goes on beside the benchmark until `stop`, at the latest until the benchmark ends. */
export interface RunningLoad {
  /** Settles when every user has had its last answer. */
  readonly stop: () => Promise<void>;
}

export function startLoad(
  context: Deferring,
  users: number,
  step: (user: number) => Promise<boolean>,
): RunningLoad {
  let isOver = false;
  const done = closedLoop(users, () => !isOver, step);
  // Whoever stops it hears of a failure; until then it must not count as unhandled.
  done.catch(() => undefined);
  const stop = () => {
    isOver = true;
    return done;
  };
  context.defer(() => stop().catch(() => undefined));
  return { stop };
}

/** Users of one session who keep one model busy. */
export async function startSessionLoad(
  context: Deferring,
  api: Api,
  of: {
    readonly users: number;
    readonly model: string;
    readonly texts: Texts;
    readonly tally: Tally;
  },
): Promise<RunningLoad & { readonly session: string }> {
  const { users, model, texts, tally } = of;
  const session = await api.openSession();
  const load = startLoad(context, users, async (user) => {
    const body = { model, session, user: `${user}`, inputs: texts.next() };
    return tally.take(await api.classify(body));
  });
  return { ...load, session };
}

export interface RollingOptions {
  readonly users: number;
  /** Requests of each user in one session; then it goes on, as another user, in the next one. */
  readonly requestsPerUser: number;
  readonly goOn: () => boolean;
  readonly send: (session: string, user: string) => Promise<boolean>;
}

interface Generation {
  readonly session: Promise<string>;
  present: number;
}

/**
 * One session after another without a gap in the load. A user who has sent all its requests goes on in
 * the next session; the last one to leave a session ends it.
 *
 * @returns how many sessions were ended
 */
export async function rollingSessions(api: Api, options: RollingOptions): Promise<number> {
  const { users, requestsPerUser, goOn, send } = options;
  const generations: Generation[] = [];
  const ends: Promise<unknown>[] = [];
  const endLater = (session: string) => {
    const end = api.endSession(session);
    // It is waited for below; until then a rejection must not count as unhandled.
    end.catch(() => undefined);
    ends.push(end);
  };
  const generation = (number: number): Generation => {
    const found = generations[number];
    if (found !== undefined) return found;
    const fresh = { session: api.openSession(), present: users };
    generations[number] = fresh;
    return fresh;
  };
  const play = async (user: number) => {
    for (let number = 0; goOn(); number += 1) {
      const current = generation(number);
      const session = await current.session;
      for (let sent = 0; sent < requestsPerUser && goOn(); sent += 1) {
        if (!(await send(session, `user-${number}-${user}`))) await pause(AFTER_FAILURE_MS);
      }
      current.present -= 1;
      if (current.present === 0) endLater(session);
    }
  };
  await Promise.all(Array.from({ length: users }, (_, user) => play(user)));
  // Users who stopped early never entered the last session: nobody has ended it yet.
  for (const { session, present } of generations) {
    if (present > 0) endLater(await session);
  }
  await Promise.all(ends);
  return ends.length;
}
