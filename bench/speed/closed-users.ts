/** Users who each send one mail after another, over HTTP. */
import type { Api } from '../harness/api.js';
import { closedLoop, Tally } from '../harness/load.js';
import { gearsOf } from './gears.js';

export interface ClosedRun {
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
  const begun = performance.now();
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
  }, durationMs);
  // Several sessions have room for eight users each; the ambient ones open by themselves.
  await closedLoop(
    users,
    () => !isOver,
    async (user) =>
      tally.take(
        await api.classify({ model: modelOf(), inputs: nextText(), user: `user-${user}` }),
      ),
  );
  clearTimeout(timer);
  const seconds = (performance.now() - begun) / 1000;
  const ms = tally.replies.map((reply) => reply.ms);
  return { itemsPerSecond: tally.replies.length / seconds, ms, tally };
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
