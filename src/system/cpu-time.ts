import { readdirSync, readFileSync } from 'node:fs';
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
  return ticksOf(text) ?? 0;
}

/** Milliseconds for each tick: USER_HZ is 100 on every architecture that Node runs on (times(2)). */
const MS_PER_TICK = 10;

/**
 * CPU time of one process in ms; undefined once it is gone, or where there is no /proc. Reads the file at once and
 * not in the thread pool, which may be what is stuck.
 */
export function processCpuMs(pid: number | undefined, root = '/proc'): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const ticks = ticksOf(readFileSync(`${root}/${pid}/stat`, 'utf8'));
    return ticks === undefined ? undefined : ticks * MS_PER_TICK;
  } catch {
    return undefined;
  }
}

/** Whether a thread of the process waits in the kernel and cannot be interrupted, as for a disk (state D, proc(5)). */
export function waitsForDisk(pid: number | undefined, root = '/proc'): boolean {
  try {
    const tasks = `${root}/${pid}/task`;
    return readdirSync(tasks).some((task) => {
      const stat = readFileSync(`${tasks}/${task}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('D');
    });
  } catch {
    return false;
  }
}

/** User and system time of the process and of its children that were waited for, from proc/PID/stat. */
function ticksOf(stat: string): number | undefined {
  // The name may hold spaces and brackets: fields are counted behind its last one.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
  if (fields.length < 4 || fields.some(Number.isNaN)) return undefined;
  return fields.reduce((sum, field) => sum + field, 0);
}
