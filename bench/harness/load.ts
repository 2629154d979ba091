/** Users in closed loop: each sends its next request when the last one is answered. */
import { type Api, describeFailure } from './api.js';
import type { Fact } from './benchmark.js';
import type { Reply } from './http-client.js';

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
}

/** After a failed request a user waits this long: a server that is down is not flooded. */
const AFTER_FAILURE_MS = 50;

/** Starts that many users, each repeating `step` until `goOn` says no. */
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
 * Fresh sessions of fresh users, one after another, without a gap in the load: who has sent all of
 * its requests goes on in the next session, and the last to leave a session has it ended.
 *
 * @returns sessions that were ended
 */
export async function rollingSessions(api: Api, options: RollingOptions): Promise<number> {
  const { users, requestsPerUser, goOn, send } = options;
  const generations: Generation[] = [];
  const ends: Promise<unknown>[] = [];
  const endLater = (session: string) => {
    const end = api.endSession(session);
    // It is waited for in the end; until then a rejection must not count as unhandled.
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
  // Who stopped early never entered the last session: it is ended here.
  for (const { session, present } of generations) {
    if (present > 0) endLater(await session);
  }
  await Promise.all(ends);
  return ends.length;
}
