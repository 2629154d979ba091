/** What the rows of a batch bring to a worker. */
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { TokenOptions } from '../models/run/entities.js';
import { charactersOf, type RowInput } from '../models/run/row-input.js';
import { MOST_TOKENS_OF_TEXT } from '../models/run/tokens/chunks.js';
import type { BatchWork } from './faults/time-budgets.js';
import type { BatchLimits, Bundle, Dispatch } from './queue/scheduler.js';
import type { Row } from './requests.js';
import type { LiveInput } from './shadow-checks.js';
import type { RowResult } from './workers/protocol.js';
import type { RunOptions } from './workers/run-options.js';

export function inputsOf(rows: readonly Row[]): readonly RowInput[] {
  return rows.map(({ input }) => input);
}

/** Inputs count with at most this many characters for each token that the model takes: the rest is cut. */
const CHARACTERS_PER_TOKEN = 6;

/**
 * Characters of each row: an estimate of its cost.
 *
 * 1. Up to what the model takes of it: the rest is cut off.
 * 2. A text that is cut into chunks: all of it, and what chunks share once more for each of them.
 */
export function sizesOf(
  inputs: readonly RowInput[],
  maxTokens: number,
  tokens: TokenOptions | undefined,
): readonly number[] {
  const { stride } = tokens ?? {};
  const overlap = stride === undefined ? 1 : maxTokens / Math.max(1, maxTokens - stride);
  const most = stride === undefined ? maxTokens : Math.max(maxTokens, MOST_TOKENS_OF_TEXT);
  return inputs.map((input) => {
    const characters = charactersOf(input);
    // A text of no more characters than the model takes tokens is one chunk.
    const all = characters <= maxTokens ? characters : Math.ceil(characters * overlap);
    return Math.max(1, Math.min(all, most * CHARACTERS_PER_TOKEN));
  });
}

/** Tokens of a batch that has so many characters. */
export function batchTokensOf(characters: number): number {
  return Math.floor(characters / CHARACTERS_PER_TOKEN);
}

/** How many chunks of a stride texts make, estimated by their characters; the same estimate as {@link sizesOf}. */
export function chunkCountOf(texts: readonly string[], maxTokens: number, stride: number): number {
  const chunk = maxTokens * CHARACTERS_PER_TOKEN;
  const tokens = { aggregation: 'none', ignoreLabels: [], stride } as const;
  return sizesOf(texts, maxTokens, tokens).reduce((sum, size) => sum + Math.ceil(size / chunk), 0);
}

export function workOf(rows: readonly Row[]): BatchWork {
  let [size, characters] = [0, 0];
  for (const row of rows) {
    size += row.size;
    characters += charactersOf(row.input);
  }
  return { size, characters };
}

/** How a batch, or a bundle, runs. */
export function optionsOf(
  dispatch: Dispatch<Row>,
  limits: BatchLimits,
): Omit<RunOptions, 'timeoutMs'> {
  return { ...rowOptionsOf(dispatch.rows), ...bundleOptionsOf(dispatch.bundle, limits) };
}

/** What differs between rows; left out where all are alike. */
export function rowOptionsOf(
  rows: readonly Row[],
): Pick<RunOptions, 'keep' | 'functions' | 'tokens'> {
  return { keep: keepOf(rows), functions: functionsOf(rows), tokens: tokensOf(rows) };
}

/** Of English text, about: batches are bounded in characters, workers count tokens. */
const CHARACTERS_OF_TOKEN = 4;

/** What differs for a bundle: nobody waits for it, and the worker batches its rows. */
function bundleOptionsOf(
  bundle: Bundle | undefined,
  { maxItems }: BatchLimits,
): Pick<RunOptions, 'bounds' | 'prefetchMs'> {
  if (bundle === undefined) return {};
  const tokens = Math.ceil(bundle.batchSize / CHARACTERS_OF_TOKEN);
  return { bounds: { rows: maxItems, tokens }, prefetchMs: bundle.prefetchMs };
}

/** Undefined if every label of every row is wanted. */
function keepOf(rows: readonly Row[]): readonly (number | undefined)[] | undefined {
  return rows.some(({ keep }) => keep !== undefined) ? rows.map(({ keep }) => keep) : undefined;
}

/** What is applied to the logits of each row; undefined where all have the model's own. */
function functionsOf(rows: readonly Row[]): readonly ScoreFunction[] | undefined {
  if (rows.every(({ request }) => request.keyed?.function === undefined)) return undefined;
  return rows.map(
    ({ request }) => request.keyed?.function ?? request.ready.model.description.scoring,
  );
}

/** What is asked of each row of a model that labels tokens; undefined for other models. */
function tokensOf(rows: readonly Row[]): RunOptions['tokens'] {
  if (rows.every(({ request }) => request.keyed?.tokens === undefined)) return undefined;
  return rows.map(({ request }) => request.keyed?.tokens);
}

/** An input with what was answered. */
export function liveInputOf({ input, request }: Row, result: RowResult): LiveInput {
  return { input, function: request.keyed?.function, result };
}
