import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Places } from './one-at-a-time.js';

/** A file can hang with the process that it describes, or with LXCFS: half of Node's threads are left to others. */
const places = new Places(2);

/**
 * The text of a kernel file below `root`, or undefined when the kernel does not give it.
 *
 * Every failure means the same to a reader of facts, "this kernel, container or process does not
 * say": ENOENT (no such feature), EACCES, ESRCH (the process ended while it was read), ENODEV (the
 * cgroup was removed) and EOPNOTSUPP (pressure stall information switched off at boot).
 */
export async function readKernelFile(root: string, path: string): Promise<string | undefined> {
  try {
    return await places.run(() => readFile(join(root, path), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Fields of the form `Name:   123 kB`, in bytes: /proc/meminfo, /proc/PID/status, smaps_rollup.
 * Lines of another form are left out. The kernel's "kB" is 1024 bytes (proc(5)).
 */
export function parseKilobyteFields(text: string): ReadonlyMap<string, number> {
  const bytesByName = new Map<string, number>();
  for (const [, name, kilobytes] of text.matchAll(/^([^:\n]+):[ \t]+(\d{1,15}) kB$/gm)) {
    if (name !== undefined) bytesByName.set(name, Number(kilobytes) * 1024);
  }
  return bytesByName;
}

/** Lines of the form `name 123` ("flat keyed" in cgroup-v2.rst): memory.stat, memory.events. */
export function parseFlatKeyed(text: string): ReadonlyMap<string, number> {
  const valueByName = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^([A-Za-z0-9_.]+) (\d{1,20})$/gm)) {
    if (name !== undefined) valueByName.set(name, Number(value));
  }
  return valueByName;
}
