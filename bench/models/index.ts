import type { Benchmark } from '../harness/benchmark.js';
import { cold } from './cold.js';
import { compile } from './compile.js';
import { families } from './families.js';
import { gears } from './gears.js';
import { messages } from './messages.js';
import { pull } from './pull.js';
import { sameScores } from './same-scores.js';
import { shift } from './shift.js';
import { tokenizer } from './tokenizer.js';
import { verdict } from './verdict.js';

/** In the order in which `all` runs them. */
export const benchmarks: readonly Benchmark[] = [
  sameScores,
  cold,
  shift,
  gears,
  tokenizer,
  messages,
  pull,
  compile,
  verdict,
  families,
];
