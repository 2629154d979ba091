import type { Benchmark } from '../harness/benchmark.js';
import { bulk } from './bulk.js';
import { bulkBeside } from './bulk-beside.js';
import { jobsScale } from './jobs-scale.js';

/** In the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [bulk, bulkBeside, jobsScale];
