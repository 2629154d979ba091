/** How much of the machine other programs took during a run: a busy machine makes every time longer. */
import { machineCpuTime, processCpuTime } from '../../system/cpu-time.js';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Follows the CPU time of the machine, and within it that of the server and of this process. Only a server
 * on this machine can be followed; of others nothing is known.
 */
export class BackgroundCpu {
  readonly #isHere: boolean;
  #began: { readonly total: number; readonly others: number } | undefined;
  #pids = new Set<number>();

  constructor(url: string) {
    this.#isHere = LOOPBACK.test(new URL(url).hostname);
  }

  /** @param pids of the server's processes, as they are now. */
  async begin(pids: readonly number[]): Promise<void> {
    this.#pids = new Set(pids);
    this.#began = await this.#look();
  }

  /**
   * The part of the machine's CPU time since the beginning that was neither the server's nor this
   * process's, in percent; null where that cannot be known. Workers that have ended count in the server's
   * main process, which has waited for them.
   */
  async end(pids: readonly number[]): Promise<number | null> {
    for (const pid of pids) this.#pids.add(pid);
    const now = await this.#look();
    if (this.#began === undefined || now === undefined) return null;
    const total = now.total - this.#began.total;
    return total <= 0 ? null : (100 * Math.max(0, now.others - this.#began.others)) / total;
  }

  async #look(): Promise<{ total: number; others: number } | undefined> {
    const machine = this.#isHere ? await machineCpuTime() : undefined;
    if (machine === undefined || this.#pids.size === 0) return undefined;
    const own = await Promise.all([...this.#pids, process.pid].map((pid) => processCpuTime(pid)));
    return {
      total: machine.total,
      others: machine.busy - own.reduce((sum, ticks) => sum + ticks, 0),
    };
  }
}
