/** Users who each send one text after another over HTTP, and the warm-ups before they are measured. */
import type { Api } from '../api.js';
import { NotMeasuredError } from '../checks.js';
import { closedLoop, failedRequest, Tally } from '../load.js';
import { bundledModel } from '../models.js';
import { gearsOf } from './hot-gear.js';

export interface UsersOptions {
  readonly users: number;
  readonly ms: number;
  /** Of the next request. */
  readonly modelOf: () => string;
  readonly nextText: () => string;
  /** The load goes on beyond `ms` until so many were answered, but no longer than {@link MOST_TIMES} as long. */
  readonly leastAnswers?: number;
}

export interface ClosedRun {
  /** When requests were answered before the load ended, in ms of the process's clock. */
  readonly answeredAtMs: readonly number[];
  /** Of each request. */
  readonly ms: readonly number[];
  readonly tally: Tally;
}

/** With fewer answers their number changes by more than a tenth with the moment at which one looks. */
export const LEAST_ANSWERS = 20;
const MOST_TIMES = 10;

export async function closedUsers(api: Api, options: UsersOptions): Promise<ClosedRun> {
  const { users, ms, modelOf, nextText, leastAnswers = 0 } = options;
  const tally = new Tally();
  const answeredAtMs: number[] = [];
  const begun = performance.now();
  let isOver = false;
  const goOn = () => {
    const passedMs = performance.now() - begun;
    isOver ||= passedMs >= MOST_TIMES * ms;
    isOver ||= passedMs >= ms && answeredAtMs.length >= leastAnswers;
    return !isOver;
  };
  // The ambient sessions that the users need open by themselves.
  await closedLoop(users, goOn, async (user) => {
    const reply = await api.classify({
      ...{ model: modelOf(), inputs: nextText(), user: `user-${user}` },
    });
    const isAnswered = tally.take(reply);
    // What comes after the end is left out: the queue drains then.
    if (goOn() && isAnswered) answeredAtMs.push(performance.now());
    return isAnswered;
  });
  return { answeredAtMs, ms: tally.replies.map((reply) => reply.ms), tally };
}

/**
 * A load for its rate: it lasts until there are enough answers for one.
 *
 * @throws NotMeasuredError if the machine was too busy for it, Error if a request failed otherwise
 */
export async function measuredUsers(
  api: Api,
  options: Omit<UsersOptions, 'leastAnswers'>,
): Promise<ClosedRun & { readonly itemsPerSecond: number }> {
  const run = await closedUsers(api, { ...options, leastAnswers: LEAST_ANSWERS });
  const [failure] = run.tally.failures;
  if (failure !== undefined) throw failedRequest(failure);
  return { ...run, itemsPerSecond: ratePerSecond(run.answeredAtMs) };
}

/**
 * From the first answer to the last: the filling of the queue is outside.
 *
 * @throws NotMeasuredError if there were too few answers
 */
export function ratePerSecond(answeredAtMs: readonly number[]): number {
  const [first = 0, last = 0] = [answeredAtMs[0], answeredAtMs.at(-1)];
  if (answeredAtMs.length < LEAST_ANSWERS || last <= first) {
    const count = answeredAtMs.length;
    throw new NotMeasuredError(
      `only ${count} requests were answered in time, of ${LEAST_ANSWERS} that a rate needs`,
    );
  }
  return (1000 * (answeredAtMs.length - 1)) / (last - first);
}

/** CPU time of an item in the main process falls from 0.7 to 0.27 ms over some 10,000 requests, and stays there. */
const COMPILED_AFTER_MS = 12_000;

/**
 * Load on the bundled model until V8 has compiled what every request runs through. A large model that
 * answers ten times a second would otherwise be measured on a server that still interprets.
 */
export async function compiled(api: Api): Promise<void> {
  let count = 0;
  // All differ: the same text at the same time would be computed once.
  const nextText = () => {
    count += 1;
    return `Subject: ${count}`;
  };
  await api.load(bundledModel.id);
  const modelOf = () => bundledModel.id;
  await closedUsers(api, { users: 32, ms: COMPILED_AFTER_MS, modelOf, nextText });
}

/** One part of a warm-up; the server shifts a busy model within three seconds. */
const WARM_UP_MS = 2000;
const MOST_WARM_UPS = 3;

/**
 * The load that is to be measured, until every worker holds the model in the hot gear, for at most six
 * seconds.
 *
 * @returns the gears then
 */
export async function warmUp(
  api: Api,
  users: number,
  model: string,
  nextText: () => string,
): Promise<readonly string[]> {
  await api.load(model);
  let gears: readonly string[] = [];
  for (let part = 0; part < MOST_WARM_UPS; part += 1) {
    await closedUsers(api, { users, ms: WARM_UP_MS, modelOf: () => model, nextText });
    gears = await gearsOf(api, model);
    if (gears.every((gear) => gear === 'hot')) break;
  }
  return gears;
}
