import { readdirSync } from 'node:fs';
import os from 'node:os';

/** Ten steps of niceness weigh a tenth when all want to run: 110 against 1024 (sched_prio_to_weight of the kernel). */
const STEPS_DOWN = 10;
const LOWEST = 19;

/**
 * Lowers the CPU priority of a child process that nobody waits for, and restores it later. On Linux each thread has a
 * priority of its own: call `lower` on a process that has just been started, so that its threads inherit it; `restore`
 * sets every thread that the process has by then.
 */
export class Unhurried {
  readonly #pid: number;
  #isLow = false;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Does nothing where the kernel would not let us raise the priority again. */
  lower(): void {
    if (!mayRaise()) return;
    const lowered = Math.min(LOWEST, os.getPriority() + STEPS_DOWN);
    this.#isLow = attempt(() => os.setPriority(this.#pid, lowered));
  }

  /** Restores the priority of this process. The second round finds threads that were started during the first. */
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
 * Lowers the priority of a process until the returned function is called, or for `mostMs`: on a machine that is busy with other
 * work it might otherwise never get to run.
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
 * Whether the kernel lets this process raise a priority back to its own. That takes CAP_SYS_NICE or RLIMIT_NICE
 * (setpriority(2)); in a user namespace the capability is there but does not suffice. So it is tried once, on one of V8's
 * garbage collection threads; if it fails, that thread stays one step lower.
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

/** Thread ids of a process, its main thread first; empty without /proc, or when the process is gone. */
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
