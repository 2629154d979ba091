import { PlimsollError } from '../errors.js';
import type { RowTask } from '../inference/row-task.js';
import type { ModelDescription } from '../models/intake/description.js';
import { functionFor } from '../models/intake/reading/scoring.js';
import type { IdsInput } from '../models/run/row-input.js';
import { expectTask } from './models.js';

export interface Logits {
  /** Token ids, special tokens included. */
  readonly rows: readonly IdsInput[];
}

/** Rows of token ids to the model's raw outputs, one for each label. */
export function logits({ rows }: Logits): RowTask<readonly number[]> {
  return {
    plan: (description) => {
      expectTask(description, 'text-classification');
      for (const [index, row] of rows.entries()) checkIds(row, index, description);
      return {
        task: 'logits',
        rows,
        rowsPerAnswer: 1,
        topK: undefined,
        function: functionFor('none', description.endsIn),
        answer: (results, index) => results[index]?.result.scores ?? [],
      };
    },
    best: (row) => {
      const score = Math.max(...row);
      return { label: `output ${row.indexOf(score)}`, score };
    },
  };
}

/**
 * What lies outside the embedding tables would fail in the graph, and count as the model's fault.
 *
 * @throws PlimsollError INVALID_INPUT
 */
function checkIds(
  { ids, types }: IdsInput,
  index: number,
  { maxTokens, vocabularySize, tokenTypes }: ModelDescription,
): void {
  const refuse: (reason: string) => never = (reason) => {
    throw new PlimsollError('INVALID_INPUT', `row ${index}: ${reason}`);
  };
  if (ids.length === 0 || ids.length > maxTokens) {
    refuse(`it has ${ids.length} token ids; the model takes 1 to ${maxTokens}`);
  }
  if (types !== undefined && types.length !== ids.length) {
    refuse(`it has ${ids.length} token ids, and ${types.length} token types`);
  }
  if (vocabularySize === undefined) {
    refuse('its config.json names no vocab_size, so token ids cannot be checked; send text');
  }
  const id = firstOutside(ids, vocabularySize);
  if (id !== undefined)
    refuse(`the token id ${id} is none of the model's, 0 to ${(vocabularySize ?? 0) - 1}`);
  const type = firstOutside(types ?? [], tokenTypes);
  if (type !== undefined)
    refuse(`the token type ${type} is none of the model's, 0 to ${tokenTypes - 1}`);
}

function firstOutside(values: readonly number[], end = 0): number | undefined {
  return values.find((value) => !Number.isInteger(value) || value < 0 || value >= end);
}
