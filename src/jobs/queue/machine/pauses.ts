import { messageOf } from '../../../errors.js';
import type { Task } from '../engines/deliveries.js';
import type { NotNow } from '../queue.js';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** An outage that lasts longer counts as attempts of the tasks that it stops. */
export const LONGEST_OUTAGE_MS = 3_600_000;
/** Tasks that are remembered. */
const MOST_TASKS = 1000;

interface Trouble {
  readonly sinceMs: number;
  readonly count: number;
}

/** A job that this machine takes nothing of until then. */
interface Pause {
  readonly count: number;
  readonly untilMs: number;
  readonly reason: string;
}

/**
 * When this machine goes on with what it could not do. A full disk or a server that is away would else use up all attempts of all
 * shards within seconds.
 *
 * 1. A task that cannot go on is put back: for a second, and twice as long each time, up to a minute.
 * 2. The machine takes nothing of that job meanwhile; a task of the job that goes well ends that, so that one file whose server is away
 *    does not hold up the others.
 * 3. A task that has met an outage for an hour has failed an attempt.
 */
export class Pauses {
  readonly #now: () => number;
  readonly #tasks = new Map<string, Trouble>();
  readonly #jobs = new Map<string, Pause>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns how long the task is put back for, in ms; undefined: that was an attempt */
  notNow(task: Task, error: NotNow): number | undefined {
    const key = keyOf(task);
    const nowMs = this.#now();
    const { sinceMs, count } = this.#tasks.get(key) ?? { sinceMs: nowMs, count: 0 };
    const isAttempt = error.kind === 'outage' && nowMs - sinceMs >= LONGEST_OUTAGE_MS; // 3
    this.#tasks.delete(key);
    this.#tasks.set(key, { sinceMs, count: count + 1 });
    for (const oldest of this.#tasks.keys()) {
      if (this.#tasks.size <= MOST_TASKS) break;
      this.#tasks.delete(oldest);
    }
    const before = this.#jobs.get(task.job)?.count ?? 0;
    const untilMs = nowMs + pauseMs(before);
    this.#jobs.set(task.job, { count: before + 1, untilMs, reason: messageOf(error) }); // 2
    return isAttempt ? undefined : pauseMs(count); // 1
  }

  wentWell(task: Task): void {
    this.#tasks.delete(keyOf(task));
    this.#jobs.delete(task.job);
  }

  /** Why nothing of the job is taken now. */
  reasonOf(job: string): string | undefined {
    const pause = this.#jobs.get(job);
    return pause !== undefined && this.#now() < pause.untilMs ? pause.reason : undefined;
  }

  /** The last trouble of the job, if nothing went well since. */
  lastReasonOf(job: string): string | undefined {
    return this.#jobs.get(job)?.reason;
  }

  /** Forgets jobs that are not open any more. */
  keepOnly(isOpen: (job: string) => boolean): void {
    for (const job of this.#jobs.keys()) if (!isOpen(job)) this.#jobs.delete(job);
  }
}

function pauseMs(count: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(20, count));
}

function keyOf({ job, kind, shard }: Task): string {
  return `${kind} ${shard} ${job}`;
}
