/**
 * Whether a benchmark had the machine to itself. What other processes took is what the kernel booked for
 * all processes, less our own tree of processes and less the kernel's threads (which write and reclaim
 * pages mostly because we asked for them). All of this is pure; `machine-load.ts` reads the figures.
 */

/** CPU time of one process since it started, in ticks of the kernel. */
export interface ProcessTicks {
  readonly pid: number;
  readonly parent: number;
  readonly own: number;
  /** Of its children that have ended and were waited for. */
  readonly reaped: number;
}

/** CPU time of the machine since it started, in ticks over all cores. */
export interface MachineTicks {
  readonly total: number;
  /** Of that, what processes and kernel threads took. */
  readonly work: number;
  /** What the hypervisor gave to other machines while this one had work. */
  readonly steal: number;
}

export interface Snapshot {
  readonly machine: MachineTicks;
  readonly processes: readonly ProcessTicks[];
}

/** What else the machine did while a benchmark ran. It is written into the results as it is. */
export interface MachineLoad {
  /** Over the last minute before the benchmark began. */
  readonly load_average: number;
  /** Part of the machine's CPU time that other processes took, in percent; null where it is unknown. */
  readonly others_percent: number | null;
  /** Part of it that went to other virtual machines, in percent; null likewise. */
  readonly steal_percent: number | null;
}

/** Above these a result is marked. A few tenths of a percent always go to something. */
const MOST_OTHERS_PERCENT = 5;
const MOST_STEAL_PERCENT = 2;
const MOST_LOAD_PER_CORE = 0.5;
/** Parent of the kernel's threads, itself one of them. */
const KTHREADD = 2;

/** @param text of `/proc/stat` (proc(5)) */
export function parseMachineTicks(text: string): MachineTicks | undefined {
  const fields = /^cpu +([\d ]+)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
  if (fields.length < 8) return undefined;
  // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = fields;
  const total = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  // Interrupts are left out of the work: some kernels book them for no process.
  return { total, work: user + nice + system, steal };
}

/** @param text of `/proc/PID/stat` (proc(5)) */
export function parseProcessTicks(text: string): ProcessTicks | undefined {
  // The name may hold spaces and brackets: fields are counted from behind its last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const pid = Number.parseInt(text, 10);
  const parent = Number(fields[1]);
  const times = fields.slice(11, 15).map(Number);
  const [user = Number.NaN, system = Number.NaN, reapedUser = 0, reapedSystem = Number.NaN] = times;
  const ticks = { pid, parent, own: user + system, reaped: reapedUser + reapedSystem };
  return Object.values(ticks).every(Number.isFinite) ? ticks : undefined;
}

/** CPU time of a process and of all that descend from it, ended ones too. */
export function treeTicks(processes: readonly ProcessTicks[], root: number): number {
  const self = processes.find(({ pid }) => pid === root);
  const children = processes.filter(({ parent, pid }) => parent === root && pid !== root);
  const below = children.reduce((sum, { pid }) => sum + treeTicks(processes, pid), 0);
  return (self === undefined ? 0 : self.own + self.reaped) + below;
}

function kernelTicks(processes: readonly ProcessTicks[]): number {
  return processes
    .filter(({ pid, parent }) => pid === KTHREADD || parent === KTHREADD)
    .reduce((sum, { own }) => sum + own, 0);
}

/**
 * What others took between two moments.
 *
 * @param root our own first process
 * @returns parts of the machine's CPU time, in percent; undefined where no time has passed
 */
export function othersBetween(
  before: Snapshot,
  after: Snapshot,
  root: number,
): { readonly othersPercent: number; readonly stealPercent: number } | undefined {
  const total = after.machine.total - before.machine.total;
  if (total <= 0) return undefined;
  const since = (of: (snapshot: Snapshot) => number) => of(after) - of(before);
  const own = since(({ processes }) => treeTicks(processes, root));
  // Threads of the kernel come and go; those that went must not count as negative work.
  const kernel = Math.max(
    0,
    since(({ processes }) => kernelTicks(processes)),
  );
  const others = Math.max(0, since(({ machine }) => machine.work) - own - kernel);
  const percent = (ticks: number) => Math.round((1000 * ticks) / total) / 10;
  return {
    othersPercent: percent(others),
    stealPercent: percent(since(({ machine }) => machine.steal)),
  };
}

/**
 * Why a result is marked as disturbed; empty on a quiet machine.
 *
 * @param isFirst whether no benchmark ran before in this process: else the load average is our own
 */
export function disturbancesOf(
  { load_average: load, others_percent: others, steal_percent: steal }: MachineLoad,
  { cores, isFirst }: { readonly cores: number; readonly isFirst: boolean },
): readonly string[] {
  const reasons: string[] = [];
  if (others !== null && others > MOST_OTHERS_PERCENT) {
    reasons.push(`other processes took ${others} % of the CPU time`);
  }
  if (steal !== null && steal > MOST_STEAL_PERCENT) {
    reasons.push(`other virtual machines took ${steal} % of the CPU time (steal)`);
  }
  if (isFirst && load > MOST_LOAD_PER_CORE * cores) {
    reasons.push(`the load average was ${load} on ${cores} cores when it began`);
  }
  return reasons;
}
