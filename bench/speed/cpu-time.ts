/** CPU time of processes, from /proc/PID/stat (proc(5): fields 14 and 15, in ticks of 10 ms). */
import { readFileSync } from 'node:fs';

const MS_PER_TICK = 10;

export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
