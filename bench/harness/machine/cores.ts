/** Pins processes to cores, so that one does not take the other's CPU time. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { NotRunError } from '../benchmark.js';

/** The cores that this process may use, by their numbers. */
export function allowedCores(): readonly number[] {
  const status = readFileSync('/proc/self/status', 'latin1');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, step) => first + step);
  });
}

/** Keeps every thread of a process on one core. @throws NotRunError */
export function pin(pid: number, core: number): void {
  try {
    execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    throw new NotRunError('taskset (Debian: util-linux) cannot pin processes to cores here');
  }
}
