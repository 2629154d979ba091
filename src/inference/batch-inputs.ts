/** What the rows of a batch bring to a worker. */
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { BatchWork } from './faults/time-budgets.js';
import type { Row } from './requests.js';
import type { LiveInput } from './shadow-checks.js';
import type { RowResult } from './workers/protocol.js';
import type { RunOptions } from './workers/run-options.js';

export function textsOf(rows: readonly Row[]): readonly string[] {
  return rows.map(({ text }) => text);
}

export function workOf(rows: readonly Row[]): BatchWork {
  let [size, characters] = [0, 0];
  for (const row of rows) {
    size += row.size;
    characters += row.text.length;
  }
  return { size, characters };
}

/** What differs between rows; left out where all are alike. */
export function rowOptionsOf(rows: readonly Row[]): Pick<RunOptions, 'keep' | 'functions'> {
  return { keep: keepOf(rows), functions: functionsOf(rows) };
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

/** An input with what was answered. */
export function liveInputOf({ text, request }: Row, result: RowResult): LiveInput {
  return { text, function: request.keyed?.function, result };
}
