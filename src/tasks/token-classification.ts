import { PlimsollError } from '../errors.js';
import type { RowTask } from '../inference/row-task.js';
import {
  type Aggregation,
  checkTokenOptions,
  DEFAULT_IGNORED,
  type Entity,
} from '../models/run/entities.js';
import { expectTask } from './models.js';

export interface TokenClassification {
  readonly texts: readonly string[];
  /** How tokens become entities; `none` if undefined, as in transformers. */
  readonly aggregation?: Aggregation | undefined;
  /** Labels that are left out; `O` if undefined. */
  readonly ignoreLabels?: readonly string[] | undefined;
  /** Tokens that two chunks of a long text share; without it the text is cut off. */
  readonly stride?: number | undefined;
}

/** The named entities of a text, with their places. */
export function tokenClassification(asked: TokenClassification): RowTask<readonly Entity[]> {
  const { texts, aggregation = 'none', ignoreLabels = DEFAULT_IGNORED, stride } = asked;
  const tokens = { aggregation, ignoreLabels, ...(stride === undefined ? {} : { stride }) };
  checkTokenOptions(tokens);
  return {
    plan: (description) => {
      expectTask(description, 'token-classification');
      if (stride !== undefined && stride >= description.maxTokens) {
        const reason = `stride is ${stride}, and the model takes ${description.maxTokens} tokens: chunks have to be longer than what they share`;
        throw new PlimsollError('INVALID_REQUEST', reason);
      }
      return {
        task: 'token-classification',
        rows: texts,
        rowsPerAnswer: 1,
        topK: undefined,
        function: undefined,
        tokens,
        answer: (results, index) => results[index]?.result.entities ?? [],
      };
    },
    best: ([first]) => first,
  };
}
