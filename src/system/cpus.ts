import { availableParallelism } from 'node:os';
import { findCgroup } from './cgroup/cgroup-tree.js';
import { readKernelFile } from './kernel-file.js';

/** A quota below this is taken as this: thread counts are made from it, and 0 would not do. */
const LEAST_CPUS = 0.1;

/** Linux takes at most 8192 CPUs (CONFIG_NR_CPUS); a list that says more is not one. */
const MOST_CPUS = 8192;

/**
 * How many CPUs this process may use: the smaller of its affinity and the CPU quota of its cgroup
 * and those above; a fraction such as 1.5 where the quota is one, never below 0.1.
 *
 * The affinity is read from /proc and not taken from `os.availableParallelism()` where possible:
 * newer libuv (1.49) puts the quota into that number already, rounded down, so 1.5 would be 1.
 */
export async function availableCpus(root = '/'): Promise<number> {
  const affinity = (await readAffinity(root)) ?? availableParallelism();
  const quota = (await readCpuQuota(root)) ?? Number.POSITIVE_INFINITY;
  return Math.max(LEAST_CPUS, Math.min(affinity, quota));
}

/** CPUs that are allowed and online: the allowed list may name CPUs that are not there (hotplug). */
async function readAffinity(root: string): Promise<number | undefined> {
  const status = await readKernelFile(root, 'proc/self/status');
  const online = await readKernelFile(root, 'sys/devices/system/cpu/online');
  const allowedText = /^Cpus_allowed_list:\s*(.+)$/m.exec(status ?? '')?.[1];
  const allowedCpus = parseCpuList(allowedText ?? '');
  const onlineCpus = parseCpuList(online ?? '');
  const count = [...allowedCpus].filter((cpu) => onlineCpus.has(cpu)).length;
  return count === 0 ? undefined : count;
}

/** Reads a list such as `0-3,8` (cpuset(7), "List format"); empty for text of another form. */
export function parseCpuList(text: string): ReadonlySet<number> {
  const listed = new Set<number>();
  for (const part of text.trim().split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (match === null) return new Set();
    const last = Math.min(Number(match[2] ?? match[1]), MOST_CPUS - 1);
    for (let cpu = Number(match[1]); cpu <= last; cpu++) listed.add(cpu);
  }
  return listed;
}

/** The smallest quota on the way up, in CPUs; undefined when there is none. */
async function readCpuQuota(root: string): Promise<number | undefined> {
  const place = await findCgroup('cpu', root);
  let smallest: number | undefined;
  for (const directory of place?.directories ?? []) {
    const text =
      place?.version === 'v1'
        ? await readV1Quota(root, directory)
        : await readKernelFile(root, `${directory}/cpu.max`);
    const quota = parseCpuMax(text ?? '');
    if (quota !== undefined) smallest = Math.min(quota, smallest ?? quota);
  }
  return smallest;
}

/** v1 has quota and period in two files; −1 is "no quota". */
async function readV1Quota(root: string, directory: string): Promise<string> {
  const quota = await readKernelFile(root, `${directory}/cpu.cfs_quota_us`);
  const period = await readKernelFile(root, `${directory}/cpu.cfs_period_us`);
  return `${quota?.trim()} ${period?.trim()}`;
}

/** CPUs out of cpu.max, `quota period` in microseconds (cgroup-v2.rst); undefined: `max`, or no quota. */
export function parseCpuMax(text: string): number | undefined {
  const match = /^(\d{1,15}) (\d{1,15})\s*$/.exec(text);
  if (match === null || Number(match[1]) === 0 || Number(match[2]) === 0) return undefined;
  return Number(match[1]) / Number(match[2]);
}

/**
 * The instruction sets that decide which kernels ONNX Runtime picks, of the first processor of /proc/cpuinfo; sorted.
 * x86: avx…, amx…, fma, f16c. arm64: every `Features` entry. A model that was optimised and prepacked on one CPU is keyed
 * by them, since another CPU may want another layout.
 */
export function parseCpuFlags(text: string): readonly string[] {
  const field = (name: string) =>
    new RegExp(`^${name}[ \\t]*:[ \\t]*(.+)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const x86 = field('flags').split(/\s+/).filter(isRelevantFlag);
  const arm = field('Features').split(/\s+/);
  const flags = [...x86, ...arm].filter((flag) => flag !== '');
  return [...new Set(flags)].sort();
}

function isRelevantFlag(flag: string): boolean {
  return /^(avx|amx)/.test(flag) || flag === 'fma' || flag === 'f16c';
}

/** The CPU's relevant flags, sorted; empty without /proc/cpuinfo. */
export async function cpuFlags(root = '/'): Promise<readonly string[]> {
  return parseCpuFlags((await readKernelFile(root, 'proc/cpuinfo')) ?? '');
}
