/** What is asked of a model, as the rows that workers run. Tasks make it; nothing here knows one of them. */
import type { CachedResult } from '../cache/memory-tier.js';
import type { ModelDescription } from '../models/intake/description.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { TokenOptions } from '../models/run/entities.js';
import type { RowInput } from '../models/run/row-input.js';

/** A label and its score. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** A request as one model has to run it. `R`: one answer. */
export interface RowPlan<R> {
  /** Under which it is counted. */
  readonly task: string;
  /** The rows of the first answer, then those of the second, and so on. */
  readonly rows: readonly RowInput[];
  readonly rowsPerAnswer: number;
  /** Best labels that a result must have; undefined: all of them. */
  readonly topK: number | undefined;
  /** What is applied to the logits; undefined: what the model asks for. */
  readonly function: ScoreFunction | undefined;
  /** What is asked of models that label tokens. */
  readonly tokens?: TokenOptions;
  /** One answer, from the results of its rows: those from `first` on. */
  readonly answer: (results: readonly { readonly result: CachedResult }[], first: number) => R;
}

/** What is asked, before it is known which model answers. */
export interface RowTask<R> {
  /** Where a request has more rows than inputs: how many, so that too many are refused before they are made. */
  readonly rowCount?: number;
  /** @throws PlimsollError TASK_NOT_SUPPORTED, INVALID_REQUEST, INVALID_INPUT */
  readonly plan: (description: ModelDescription) => RowPlan<R>;
  /** What is recorded of an answer. */
  readonly best: (answer: R) => LabelScore | undefined;
}
