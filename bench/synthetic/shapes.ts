/** The sizes of the encoders that the generator can imitate. */

/** Sizes of a BERT-like encoder. */
export interface EncoderShape {
  /** Number of transformer layers. */
  readonly layers: number;
  /** Width of the hidden states, in elements. */
  readonly hidden: number;
  /** Number of attention heads; divides `hidden`. */
  readonly heads: number;
  /** Width of the feed-forward network's inner layer, in elements. */
  readonly ffn: number;
}

/** Name of a shape. */
export type ShapeName = 'minilm' | 'distilbert' | 'bert-base';

/** Known shapes: those of MiniLM-L6-H384, of DistilBERT base and of BERT base. */
export const shapes: Readonly<Record<ShapeName, EncoderShape>> = {
  minilm: { layers: 6, hidden: 384, heads: 12, ffn: 1536 },
  distilbert: { layers: 6, hidden: 768, heads: 12, ffn: 3072 },
  'bert-base': { layers: 12, hidden: 768, heads: 12, ffn: 3072 },
};

/** All sizes of a classifier: its encoder's, and those that do not depend on the shape's name. */
export interface ClassifierShape extends EncoderShape {
  /** Number of token ids. */
  readonly vocabulary: number;
  /** Longest sequence, in tokens. */
  readonly maxPositions: number;
  /** Number of labels. */
  readonly labels: number;
}
