/** From the logits of a text's tokens to the entities that it names. Pure. */

/**
 * How tokens become entities, as transformers' TokenClassificationPipeline names the ways. `none`: each token by
 * itself. `simple`: neighbours of one tag. `first`, `average`, `max`: a word has one label, that of its first token,
 * of its tokens' mean, or of its surest token; then neighbours of one tag.
 */
export type Aggregation = 'none' | 'simple' | 'first' | 'average' | 'max';

export const AGGREGATIONS: readonly Aggregation[] = ['none', 'simple', 'first', 'average', 'max'];

/** What is asked of a text. */
export interface TokenOptions {
  readonly aggregation: Aggregation;
  /** Entities of these labels are left out: of whole labels with `none` (`B-PER`), else of tags (`PER`). */
  readonly ignoreLabels: readonly string[];
  /**
   * A text that is too long is cut into chunks that share this many tokens with the one before. Without it the text
   * is cut off. Not with `none`.
   */
  readonly stride?: number;
}

/** What the pipeline leaves out if nothing else is said. */
export const DEFAULT_IGNORED: readonly string[] = ['O'];

export interface Entity {
  /** The label with `none`, else the tag: `PER` of `B-PER` and `I-PER`. */
  readonly label: string;
  readonly score: number;
  /** As the tokenizer writes it; the text itself is found by `start` and `end`. */
  readonly word: string;
  /** Where it begins and ends, in code points of the text. */
  readonly start: number;
  readonly end: number;
  /** With `none`: the token's number, special tokens counted. */
  readonly index?: number;
}
