/** Users who each send one mail after another, over HTTP. */
import type { Api } from '../harness/api.js';
import { closedLoop, Tally } from '../harness/load.js';

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
