import type { LoadResult } from '../data/http-load-main.js';
import { type Check, exactly, type Fact } from '../harness/benchmark.js';

/** A check that no answer failed, and the first that did. */
export function wrongAnswers(results: readonly LoadResult[]): {
  readonly check: Check;
  readonly facts: readonly Fact[];
} {
  const wrong = results.reduce((sum, result) => sum + result.wrong, 0);
  const first = results.map(({ firstWrong }) => firstWrong).find((text) => text !== '');
  return {
    check: exactly('answers that failed', wrong, 0),
    facts: first === undefined ? [] : [{ fact: 'a wrong answer', value: first }],
  };
}
