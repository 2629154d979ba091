/** CPU time of processes and of the machine, from the kernel's books (proc(5)). */
import { readFileSync } from 'node:fs';
import { parseMachineTicks } from './disturbance.js';

/** Linux counts CPU time for users in ticks of this length on every architecture that Node runs on. */
const MS_PER_TICK = 10;

/** CPU time of a process so far, in ms, without that of its children. @throws Error if it is gone */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** CPU time that the processes of the machine took so far, in ms over all cores. */
export function machineBusyMs(): number {
  const ticks = parseMachineTicks(readFileSync('/proc/stat', 'latin1'));
  return (ticks?.work ?? Number.NaN) * MS_PER_TICK;
}

/** CPU time of this process, in ms. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
