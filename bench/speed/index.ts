import type { Benchmark } from '../harness/benchmark.js';
import { cold } from './cold.js';
import { fairness } from './fairness.js';
import { latency } from './latency.js';
import { messages } from './messages.js';
import { overload } from './overload.js';
import { page } from './page.js';
import { peerNode } from './peer-node.js';
import { sameScores } from './same-scores.js';
import { scaleModels } from './scale-models.js';
import { shift } from './shift.js';
import { stages } from './stages.js';
import { throughput } from './throughput.js';
import { tokenizer } from './tokenizer.js';
import { topology } from './topology.js';
import { twoGears } from './two-gears.js';

/** The benchmarks of speed, in the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  sameScores,
  throughput,
  stages,
  latency,
  cold,
  shift,
  twoGears,
  topology,
  tokenizer,
  messages,
  fairness,
  overload,
  peerNode,
  scaleModels,
  page,
];
