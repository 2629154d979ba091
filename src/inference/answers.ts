/** Answers in the making: the results of their rows put together. */

import type { CachedResult } from '../cache/memory-tier.js';
import type { CacheSource, SourcedResult } from '../cache/result-cache.js';
import { PlimsollError } from '../errors.js';
import type { RowPlan } from './row-task.js';

/** Answers of a request. `R`: one answer. */
export interface Classification<R> {
  readonly model: string;
  readonly results: readonly R[];
  /** For each answer: whether a text of its rows was longer than the model takes. */
  readonly truncated: readonly boolean[];
  /** For each answer: the slowest source of its rows. */
  readonly cached: readonly CacheSource[];
  /** For each answer: the cache key of its first row. */
  readonly inputHashes: readonly string[];
  readonly timing: {
    readonly queueMs: number;
    readonly tokenizeMs: number;
    readonly runMs: number;
  };
}

export function countOf(rows: readonly (SourcedResult | undefined)[], source: CacheSource): number {
  let count = 0;
  for (const row of rows) if (row?.source === source) count += 1;
  return count;
}

export type Timing = Classification<unknown>['timing'];

export interface AnswerInMaking<R> extends Classification<R> {
  readonly results: R[];
  readonly truncated: boolean[];
  readonly cached: CacheSource[];
}

export function newAnswer<R>(
  model: string,
  { rowsPerAnswer }: RowPlan<R>,
  keys: readonly string[],
  timing: Timing,
): AnswerInMaking<R> {
  const length = keys.length / rowsPerAnswer;
  const results = new Array<R>(length);
  const truncated = new Array<boolean>(length);
  const cached = new Array<CacheSource>(length);
  const inputHashes =
    rowsPerAnswer === 1 ? keys : keys.filter((_, index) => index % rowsPerAnswer === 0);
  return { model, results, truncated, cached, inputHashes, timing };
}

export function fillIn<R>(
  answer: AnswerInMaking<R>,
  index: number,
  { rowsPerAnswer, answer: answerOf }: RowPlan<R>,
  rows: readonly (SourcedResult | undefined)[],
): void {
  const first = index * rowsPerAnswer;
  let truncated = false;
  let source: CacheSource = 'memory';
  for (let at = first; at < first + rowsPerAnswer; at += 1) {
    const row = rows[at];
    if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
    truncated ||= row.result.truncated;
    if (source !== false && row.source !== 'memory') source = row.source;
  }
  // All of them are there, as was just seen.
  answer.results[index] = answerOf(rows as readonly SourcedResult[], first);
  answer.truncated[index] = truncated;
  answer.cached[index] = source;
}

/** Keys without a result, each once. */
export function missingOf(
  keys: readonly string[],
  rows: readonly (SourcedResult | undefined)[],
): readonly string[] {
  if (rows.length === 1) return rows[0] === undefined ? keys : [];
  return [...new Set(keys.filter((_, index) => rows[index] === undefined))];
}

/** Whether the result has that many labels; one with all of them has enough in any case. */
export function hasLabels({ labels }: CachedResult, wanted: number): boolean {
  return labels === undefined || labels.length >= wanted;
}
