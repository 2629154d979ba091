/** Jobs in the shapes of the contract. Pure. */
import type { JobView, ShardView } from '../contract/jobs.js';
import type { JobState, ShardState } from './queue/queue.js';

export function shownJob(
  job: JobState,
  of: {
    readonly failed: readonly ShardState[];
    readonly running: readonly ShardState[];
    readonly perSecond: number | undefined;
    readonly expected: number | undefined;
    readonly waitingFor: string | undefined;
  },
): JobView {
  const { waiting, running, done, failed } = job.shards;
  const rest = of.expected === undefined ? undefined : of.expected - job.rows;
  const isOpen = job.endedAtMs === null;
  const secondsLeft =
    isOpen && rest !== undefined && of.perSecond ? rest / of.perSecond : undefined;
  return {
    ...{ id: job.id, state: job.state, request: job.request },
    task: job.request.task ?? null,
    model: job.model?.id ?? job.request.model ?? null,
    commit: job.model?.commit ?? null,
    dtype: job.model?.dtype ?? null,
    created_at: new Date(job.createdAtMs).toISOString(),
    started_at: instantOf(job.startedAtMs),
    ended_at: instantOf(job.endedAtMs),
    waiting_for: of.waitingFor ?? null,
    ...{ files: job.files, planned: job.planned },
    shards: { known: waiting + running + done + failed, waiting, running, done, failed },
    rows: { done: job.rows, bad: job.bad, expected: of.expected ?? null },
    rows_per_second: of.perSecond === undefined ? null : tenth(of.perSecond),
    seconds_left: secondsLeft === undefined ? null : Math.ceil(secondsLeft),
    failures: of.failed.map(({ shard, reason, attempts }) => ({
      ...{ shard: shard.index, file: shard.file.url },
      ...{ reason: reason ?? 'unknown', attempts },
    })),
    machines: machinesOf(of.running),
    ...{ manifest: job.manifest, error: job.error },
  };
}

function instantOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

function machinesOf(running: readonly ShardState[]): JobView['machines'] {
  const shards = new Map<string, number[]>();
  for (const { server, shard } of running) {
    if (server === null) continue;
    const of = shards.get(server);
    if (of === undefined) shards.set(server, [shard.index]);
    else of.push(shard.index);
  }
  return [...shards].map(([server, of]) => ({ server, shards: of }));
}

export function shownShard({
  shard,
  state,
  attempts,
  reason,
  server,
  result,
}: ShardState): ShardView {
  return {
    ...{ shard: shard.index, file: shard.file.url, state },
    ...{ rows: result?.rows ?? null, bad: result?.bad ?? null, part: result?.part ?? null },
    ...{ server, attempts, reason },
  };
}
