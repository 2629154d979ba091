/** Users who each send one mail after another, over HTTP. */
import type { Api } from '../harness/api.js';
import { closedLoop, Tally } from '../harness/load.js';
import { gearsOf } from './gears.js';
import { bundledModel } from './mails.js';

export interface ClosedRun {
  /** From the first answer to the last before the load ended: the queue fills and drains outside of it. */
  readonly itemsPerSecond: number;
  readonly ms: readonly number[];
  readonly tally: Tally;
}

/** @param modelOf the model of the next request */
export async function closedUsers(
  api: Api,
  users: number,
  durationMs: number,
  modelOf: () => string,
  nextText: () => string,
): Promise<ClosedRun> {
  const tally = new Tally();
  const answeredAt: number[] = [];
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
  }, durationMs);
  // Several sessions have room for eight users each; the ambient ones open by themselves.
  await closedLoop(
    users,
    () => !isOver,
    async (user) => {
      const reply = await api.classify({
        ...{ model: modelOf(), inputs: nextText(), user: `user-${user}` },
      });
      if (!isOver) answeredAt.push(performance.now());
      return tally.take(reply);
    },
  );
  clearTimeout(timer);
  const [first = 0, last = 0] = [answeredAt[0], answeredAt.at(-1)];
  const itemsPerSecond = (1000 * (answeredAt.length - 1)) / (last - first);
  return { itemsPerSecond, ms: tally.replies.map((reply) => reply.ms), tally };
}

/** CPU time of an item in the main process falls for some 10,000 requests (from 0.7 to 0.27 ms), and stays then. */
const COMPILED_AFTER_MS = 12_000;

/**
 * Load on the bundled model until V8 has compiled what every request goes through: a model that answers ten
 * times a second would be measured on a server that has just been started.
 */
export async function compiled(api: Api): Promise<void> {
  let count = 0;
  // All differ: the same text at the same time would be computed once.
  const nextText = () => {
    count += 1;
    return `Subject: ${count}`;
  };
  await api.load(bundledModel.id);
  await closedUsers(api, 32, COMPILED_AFTER_MS, () => bundledModel.id, nextText);
}

/** Part of a warm-up; the server shifts a busy model within three seconds. */
const WARM_UP_MS = 2000;
const MOST_WARM_UPS = 3;

/**
 * The load that is to be measured, until every worker holds the model in the hot gear (or does not come
 * to it in six seconds).
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
    await closedUsers(api, users, WARM_UP_MS, () => model, nextText);
    gears = await gearsOf(api, model);
    if (gears.every((gear) => gear === 'hot')) break;
  }
  return gears;
}
