/** CPU time that other programs used during a run: on a busy machine every duration is longer. */
import { machineCpuTime, processCpuTime } from '../../system/cpu-time.js';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Measures the machine's CPU time less that of the server and of this process. Possible only for a server on
 * this machine.
 */
export class BackgroundCpu {
  readonly #isHere: boolean;
  #began: { readonly total: number; readonly others: number } | undefined;
  #pids = new Set<number>();

  constructor(url: string) {
    this.#isHere = LOOPBACK.test(new URL(url).hostname);
  }

  /** @param pids the server's current processes. */
  async begin(pids: readonly number[]): Promise<void> {
    this.#pids = new Set(pids);
    this.#began = await this.#look();
  }

  /**
   * CPU time since {@link begin} that neither the server nor this process used, in percent of the machine's;
   * null where unknown. Ended workers are included in the server's main process, which reaped them.
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
