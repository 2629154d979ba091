import type { Benchmark } from '../harness/benchmark.js';
import { doors } from './doors.js';
import { fairness } from './fairness.js';
import { gate } from './gate.js';
import { keys } from './keys.js';
import { latency } from './latency.js';
import { overload } from './overload.js';
import { page } from './page.js';
import { peerNode } from './peer-node.js';
import { scaleModels } from './scale-models.js';
import { stages } from './stages.js';
import { throughput } from './throughput.js';
import { topology } from './topology.js';

/** In the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  throughput,
  stages,
  latency,
  topology,
  fairness,
  doors,
  overload,
  gate,
  keys,
  peerNode,
  scaleModels,
  page,
];
