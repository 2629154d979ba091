import type { Result } from '../../../bench/harness/report.js';

/** A result as a benchmark leaves it, with what a test changes. */
export function resultWith(change: Partial<Result>): Result {
  return {
    name: 'some',
    area: 'Memory',
    about: 'requests that fail while it runs',
    headline: '0 of 10',
    ok: true,
    checks: [],
    facts: [],
    version: '1.2.3',
    machine: {
      cores: 2,
      memory_mb: 8192,
      cpu_model: 'a CPU',
      node: 'v20.20.2',
      kernel: '6.18.1-some',
      platform: 'linux x64',
      libc: 'glibc 2.36',
    },
    machine_load: { load_average: 0, others_percent: 0, steal_percent: 0 },
    disturbed_by: [],
    started_at: '2026-01-02T03:04:05.678Z',
    duration_s: 2,
    ...change,
  };
}
