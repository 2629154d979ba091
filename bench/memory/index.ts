import type { Benchmark } from '../harness/benchmark.js';
import { cleanup } from './cleanup.js';
import { density } from './density.js';
import { drift } from './drift.js';
import { kill } from './kill.js';
import { pressure } from './pressure.js';
import { proofRepeat } from './proof-repeat.js';
import { recycle } from './recycle.js';
import { reload } from './reload.js';
import { returned } from './return.js';
import { share } from './share.js';
import { soak } from './soak.js';
import { start } from './start.js';

/** In the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  start,
  reload,
  returned,
  share,
  density,
  recycle,
  cleanup,
  drift,
  pressure,
  kill,
  proofRepeat,
  soak,
];
