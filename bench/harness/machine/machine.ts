/** The machine that a result was measured on. */
import { readFileSync } from 'node:fs';
import os from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly memory_mb: number;
  readonly cpu_model: string;
  readonly node: string;
  readonly kernel: string;
  readonly platform: string;
  readonly libc: string;
}

export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cores: os.availableParallelism(),
    memory_mb: Math.round(os.totalmem() / 2 ** 20),
    cpu_model: cpus[0]?.model.trim() ?? 'unknown',
    node: process.version,
    kernel: os.release(),
    platform: `${process.platform} ${process.arch}${container()}`,
    libc: libcVersion(),
  };
}

function libcVersion(): string {
  const report: unknown = process.report?.getReport();
  if (typeof report !== 'object' || report === null || !('header' in report)) return 'unknown';
  const { header } = report;
  if (typeof header !== 'object' || header === null) return 'unknown';
  return 'glibcVersionRuntime' in header ? `glibc ${String(header.glibcVersionRuntime)}` : 'other';
}

function container(): string {
  try {
    return /docker|lxc|kube/.test(readFileSync('/proc/1/cgroup', 'utf8')) ? ' (container)' : '';
  } catch {
    return '';
  }
}
