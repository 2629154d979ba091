import type { Deliveries, TaskState } from '../engines/deliveries.js';
import type { Shard, ShardState, ShardStateName } from '../queue.js';
import type { Entry } from './entries.js';
import type { LiveJob, LiveJobs } from './live-jobs.js';

const PAGE_SHARDS = 200;

/** Shards of a job with these numbers, in that order. */
export async function shardStates(
  jobs: LiveJobs,
  deliveries: Deliveries,
  job: LiveJob,
  indexes: readonly number[],
): Promise<readonly ShardState[]> {
  const open = indexes.filter((index) => job.tally.outcomeOf(index) === undefined);
  const outcomes = await jobs.outcomes(job, indexes);
  const tasks =
    open.length === 0 ? new Map<number, TaskState>() : await deliveries.look(job.record.id, open);
  const states: ShardState[] = [];
  for (const index of indexes) {
    const shard = await jobs.shard(job, index);
    if (shard !== undefined) states.push(stateOf(shard, outcomes.get(index), tasks.get(index)));
  }
  return states;
}

function stateOf(
  shard: Shard,
  outcome: (Entry & { kind: 'done' | 'failed' }) | undefined,
  task: TaskState | undefined,
): ShardState {
  if (outcome?.kind === 'done') {
    const { result } = outcome;
    const { server } = result;
    return { shard, state: 'done', attempts: 1, reason: null, server, result };
  }
  if (outcome?.kind === 'failed') {
    const { attempts, reason, server } = outcome;
    return { shard, state: 'failed', attempts, reason, server, result: null };
  }
  const { state = 'waiting', failedAttempts = 0, reason = null, server = null } = task ?? {};
  const attempts = failedAttempts + (state === 'running' ? 1 : 0);
  return { shard, state, attempts, reason, server, result: null };
}

/** Every shard of a job, in order. */
export async function* allShards(
  jobs: LiveJobs,
  deliveries: Deliveries,
  job: LiveJob,
): AsyncGenerator<ShardState> {
  for (let from = 0; from < job.tally.known; from += PAGE_SHARDS) {
    yield* await shardStates(jobs, deliveries, job, numbers(from, job.tally.known, PAGE_SHARDS));
  }
}

/** Numbers of the shards of a page. Those that are not done or failed are told apart by who has them. */
export async function pageOf(
  deliveries: Deliveries,
  { tally, record }: LiveJob,
  of: { readonly from?: number; readonly limit: number; readonly state?: ShardStateName },
): Promise<readonly number[]> {
  const { from = 0, limit, state } = of;
  if (state === undefined) return numbers(from, tally.known, limit);
  const running =
    state === 'done' || state === 'failed'
      ? new Set<number>()
      : new Set(await deliveries.runningShards(record.id));
  const found: number[] = [];
  for (let index = Math.max(0, from); index < tally.known && found.length < limit; index += 1) {
    const is = tally.outcomeOf(index) ?? (running.has(index) ? 'running' : 'waiting');
    if (is === state) found.push(index);
  }
  return found;
}

function numbers(from: number, to: number, limit: number): readonly number[] {
  const first = Math.max(0, from);
  return Array.from({ length: Math.max(0, Math.min(limit, to - first)) }, (_, n) => first + n);
}
