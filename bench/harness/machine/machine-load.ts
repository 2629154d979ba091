/** Reads what else the machine does; `disturbance.ts` judges it. */
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import {
  disturbancesOf,
  type MachineLoad,
  othersBetween,
  parseMachineTicks,
  parseProcessTicks,
  type Snapshot,
} from './disturbance.js';

/** Benchmarks that ran before in this process. */
let ranBefore = 0;

/** Follows the machine while a benchmark runs. It looks at the beginning and at the end only: a look costs some ms. */
export class MachineWatch {
  readonly #begin = takeSnapshot();
  readonly #loadAverage = Math.round((os.loadavg()[0] ?? 0) * 100) / 100;
  readonly #isFirst = ranBefore === 0;

  constructor() {
    ranBefore += 1;
  }

  /** To be called while the benchmark's processes still run, or have been waited for. */
  end(): { readonly load: MachineLoad; readonly disturbedBy: readonly string[] } {
    const end = takeSnapshot();
    const others = this.#begin && end ? othersBetween(this.#begin, end, process.pid) : undefined;
    const load = {
      load_average: this.#loadAverage,
      others_percent: others?.othersPercent ?? null,
      steal_percent: others?.stealPercent ?? null,
    };
    const cores = os.availableParallelism();
    return { load, disturbedBy: disturbancesOf(load, { cores, isFirst: this.#isFirst }) };
  }
}

/** undefined where there is no `/proc`. */
function takeSnapshot(): Snapshot | undefined {
  try {
    const machine = parseMachineTicks(readFileSync('/proc/stat', 'latin1'));
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => parseProcessTicks(statOf(pid)))
      .filter((found) => found !== undefined);
    return machine === undefined ? undefined : { machine, processes };
  } catch {
    return undefined;
  }
}

/** Empty if it has ended since it was listed. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}
