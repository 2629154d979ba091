import type { Benchmark } from '../harness/benchmark.js';
import { cached } from './cached.js';
import { costs } from './costs.js';
import { databaseOutage } from './database-outage.js';
import { faults } from './faults.js';
import { fleet } from './fleet.js';
import { pools } from './pools.js';
import { redisOutage } from './redis-outage.js';

/** In the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  cached,
  redisOutage,
  databaseOutage,
  faults,
  pools,
  fleet,
  costs,
];
