import type { Benchmark } from '../harness/benchmark.js';
import { fairness } from './fairness.js';
import { overload } from './overload.js';
import { peerNode } from './peer-node.js';
import { sameScores } from './same-scores.js';
import { scaleModels } from './scale-models.js';
import { throughput } from './throughput.js';
import { tokenizer } from './tokenizer.js';
import { topology } from './topology.js';

/** The benchmarks of speed, in the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  sameScores,
  throughput,
  topology,
  tokenizer,
  fairness,
  overload,
  peerNode,
  scaleModels,
];
