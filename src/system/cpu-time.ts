import { readFile } from 'node:fs/promises';

/** CPU time since the machine or the process started, in clock ticks of the kernel (proc(5)). */
export interface CpuTime {
  /** Of all CPUs together, idle time included. */
  readonly total: number;
  /** The part of it that was not idle. */
  readonly busy: number;
}

/** The machine's, from the first line of `/proc/stat`; undefined where there is none. */
export async function machineCpuTime(root = '/proc'): Promise<CpuTime | undefined> {
  const text = await readFile(`${root}/stat`, 'utf8').catch(() => '');
  const fields = /^cpu +([\d ]+)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
  // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
  const [user, nice, system, idle, iowait, irq, softirq, steal = 0] = fields;
  const known = [user, nice, system, idle, iowait, irq, softirq];
  if (known.some((field) => field === undefined)) return undefined;
  const total = known.reduce((sum: number, field) => sum + (field ?? 0), 0) + steal;
  return { total, busy: total - (idle ?? 0) - (iowait ?? 0) };
}

/** Of one process, with its children that have ended and were waited for; 0 once it is gone. */
export async function processCpuTime(pid: number, root = '/proc'): Promise<number> {
  const text = await readFile(`${root}/${pid}/stat`, 'utf8').catch(() => '');
  // The name may contain spaces and parentheses: count fields after its last one.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime, stime, cutime, cstime] = fields.slice(11, 15);
  return (utime ?? 0) + (stime ?? 0) + (cutime ?? 0) + (cstime ?? 0);
}
