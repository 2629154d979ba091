/** Puts the tasks of a job into the deliveries. Those that are there stay as they are. */
import type { Deliveries, Task } from './engines/deliveries.js';
import type { LiveJob } from './journal/live-jobs.js';
import { pageOf } from './journal/shard-states.js';

/** Failed shards that are offered again at once. */
const OFFERED_AT_ONCE = 500;
const LOOKED_AT_ONCE = 100;

/** The planning, or the manifest, whatever is next. */
export async function offerSteps(
  deliveries: Deliveries,
  { tally, record }: LiveJob,
): Promise<void> {
  if (tally.hasEnded) return;
  const step = (kind: Task['kind']): Task => ({ job: record.id, kind, shard: -1 });
  if (!tally.planned) await deliveries.offer([step('plan')]);
  else if (tally.isSettled) await deliveries.offer([step('finish')]);
}

/** Shards of a job that no machine works on, of which the engine knows nothing. */
export async function offerLost(deliveries: Deliveries, job: LiveJob): Promise<void> {
  const { tally, record } = job;
  if (tally.hasEnded || !tally.planned || tally.isSettled) return;
  if ((await deliveries.running(record.id)) > 0) return;
  const first = { limit: LOOKED_AT_ONCE, state: 'waiting' } as const;
  const waiting = await pageOf(deliveries, job, first);
  const known = await deliveries.look(record.id, waiting);
  const lost = waiting.filter((shard) => !known.has(shard));
  if (lost.length === 0) return;
  await deliveries.offer(lost.map((shard) => ({ job: record.id, kind: 'shard', shard })));
}

export async function offerFailed(
  deliveries: Deliveries,
  { tally, record }: LiveJob,
): Promise<void> {
  let tasks: Task[] = [];
  for (let shard = 0; shard < tally.known; shard += 1) {
    if (tally.outcomeOf(shard) === 'failed') tasks.push({ job: record.id, kind: 'shard', shard });
    if (tasks.length < OFFERED_AT_ONCE && shard < tally.known - 1) continue;
    if (tasks.length > 0) await deliveries.offer(tasks);
    tasks = [];
  }
}
