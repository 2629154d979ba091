import type { Tally } from './journal/tally.js';
import type { JobState, ShardStateName } from './queue.js';

const LONGEST_PAUSE_MS = 3_600_000;

/** Pause before the next attempt, in milliseconds. @param failed attempts so far, at least 1 */
export function pauseAfter(failed: number, backoffMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, backoffMs * 2 ** Math.min(30, failed - 1));
}

/** What to do with a task that a machine was given. */
export type Verdict = 'run' | 'drop' | 'put back' | 'set aside';

/**
 * 1. A shard that is done, or was set aside, is not run again: the machine that had it was lost before it could say so.
 * 2. A job that has ended: its shards stay for a retry, its planning and its manifest are begun anew by one.
 * 3. After its last attempt it is set aside, and so is one that has lost machine after machine: it may be what ends them.
 */
export function verdictOn(
  { kind, shard }: { readonly kind: 'plan' | 'shard' | 'finish'; readonly shard: number },
  {
    failedAttempts,
    lostMachines,
  }: { readonly failedAttempts: number; readonly lostMachines: number },
  tally: Tally,
  mostAttempts: number,
): Verdict {
  if (kind === 'shard' && tally.outcomeOf(shard) !== undefined) return 'drop'; // 1
  if (kind === 'plan' && tally.planned) return 'drop';
  if (kind === 'finish' && !tally.isSettled) return 'drop';
  if (tally.hasEnded) return kind === 'shard' ? 'put back' : 'drop'; // 2
  const isPoisoned = lostMachines >= mostLost(mostAttempts);
  return failedAttempts >= mostAttempts || isPoisoned ? 'set aside' : 'run'; // 3
}

/** Machines that one task may lose. More than attempts: a server that is killed or deployed anew some times is no fault of the task. */
export function mostLost(mostAttempts: number): number {
  return Math.max(10, 3 * mostAttempts);
}

/** Shards by state. `running`: those that machines have now, as far as they are not done yet. */
export function countShards(tally: Tally, running: number): Record<ShardStateName, number> {
  const open = Math.max(0, tally.known - tally.done - tally.failed);
  const runs = Math.min(open, running);
  return { waiting: open - runs, running: runs, done: tally.done, failed: tally.failed };
}

/** A job as it is shown. */
export function stateOf(
  job: Pick<JobState, 'id' | 'request' | 'createdAtMs'>,
  tally: Tally,
  running: number,
): JobState {
  const { state, planned, files, rows, bad, bytes, bytesDone, model, manifest, error } = tally;
  return {
    ...{ id: job.id, request: job.request, state, createdAtMs: job.createdAtMs },
    ...{ startedAtMs: tally.startedAtMs, endedAtMs: tally.endedAtMs, files, planned },
    shards: countShards(tally, running),
    ...{ rows, bad, bytes, bytesDone, model, manifest, error },
  };
}
