/** What a family of encoders says about itself. */
import type { Config } from './config.js';
import type { Module, Value } from './network.js';

/** What the classification head gives logits for: each sequence, or each token. */
export type HeadTask = 'sequence' | 'token';

export interface Family {
  /** As people call it. */
  readonly name: string;
  /** `model_type` in config.json. */
  readonly modelTypes: readonly string[];
  /** What the names of its classes begin with: `Bert` of `BertForSequenceClassification`. */
  readonly classes: readonly string[];
  /** Name of the encoder within the whole model: the first part of its tensors' names. */
  readonly base: string;
  /**
   * Describes the whole network, from token ids to logits.
   *
   * @returns the logits: float32 [batch, labels] or [batch, sequence, labels]
   */
  readonly describe: (root: Module, config: Config, task: HeadTask) => Value;
}
