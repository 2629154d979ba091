import { benchmarks as data } from './data/index.js';
import type { Area, Benchmark } from './harness/benchmark.js';
import { benchmarks as jobs } from './jobs/index.js';
import { benchmarks as memory } from './memory/index.js';
import { benchmarks as models } from './models/index.js';
import { benchmarks as speed } from './speed/index.js';

/** All benchmarks, in the order in which `all` runs them. */
export const areas: readonly Area[] = [
  { title: 'Memory', benchmarks: memory },
  { title: 'Speed', benchmarks: speed },
  { title: 'Models', benchmarks: models },
  { title: 'Cache, database and pools', benchmarks: data },
  { title: 'Jobs', benchmarks: jobs },
];

export interface Listed extends Benchmark {
  readonly area: string;
}

export const benchmarks: readonly Listed[] = areas.flatMap(({ title, benchmarks: of }) =>
  of.map((benchmark) => ({ ...benchmark, area: title })),
);
