import { readdirSync } from 'node:fs';
import os from 'node:os';

/** Weighs a tenth of what others do when all want to run: 110 of 1024 (sched_prio_to_weight of the kernel). */
const STEPS_DOWN = 10;
const LOWEST = 19;

/**
 * Lets a process of ours that nobody waits for run only where others leave time, and gives it its full
 * priority back later. Linux counts priorities by thread: `lower` is for a process that has just been started,
 * whose threads are yet to come and will inherit it; `restore` sets all that there are.
 */
export class Unhurried {
  readonly #pid: number;
  #isLow = false;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Does nothing where what is lowered could not be raised again. */
  lower(): void {
    if (!mayRaise()) return;
    const lowered = Math.min(LOWEST, os.getPriority() + STEPS_DOWN);
    this.#isLow = attempt(() => os.setPriority(this.#pid, lowered));
  }

  /** To the priority of this process. Threads that come while it runs are found in the second round. */
  restore(): void {
    if (!this.#isLow) return;
    this.#isLow = false;
    for (let round = 0; round < 2; round += 1) {
      for (const thread of threadsOf(this.#pid)) {
        attempt(() => os.setPriority(thread, os.getPriority()));
      }
    }
  }
}

/**
 * The process runs where others leave time until the function is called that this returns; on a machine that is full
 * of others' work that could take for ever, so for `mostMs` at the longest.
 */
export function unhurriedFor(pid: number | undefined, mostMs: number): () => void {
  if (pid === undefined) return () => undefined;
  const priority = new Unhurried(pid);
  priority.lower();
  const patience = setTimeout(() => priority.restore(), mostMs);
  return () => {
    clearTimeout(patience);
    priority.restore();
  };
}

let known: boolean | undefined;

/**
 * Whether the kernel lets this process raise a priority back to its own: that takes CAP_SYS_NICE or
 * RLIMIT_NICE (setpriority(2)), and in a user namespace the capability is there but not enough. So it is
 * tried, once, on a thread of V8's that collects garbage; should it fail, that one stays a step lower.
 */
function mayRaise(): boolean {
  if (known !== undefined) return known;
  const helper = threadsOf(process.pid).find((thread) => thread !== process.pid);
  const own = os.getPriority();
  known =
    helper !== undefined &&
    own < LOWEST &&
    attempt(() => os.setPriority(helper, own + 1)) &&
    attempt(() => os.setPriority(helper, own));
  return known;
}

/** Ids of a process's threads, the first one being its own; none where there is no /proc, or no such process. */
function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
