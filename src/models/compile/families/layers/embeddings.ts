/** Tables of embeddings, and the sum of them that most encoders begin with. */
import type { Module, Value } from '../network/network.js';
import { layerNorm } from './norm.js';

/** Rows of the module's `weight` [rows, size]: [batch, sequence] → [batch, sequence, size]. */
export function embedding(module: Module, ids: Value, rows: number, size: number): Value {
  return module.apply('Gather', [module.parameter('weight', [rows, size]), ids]);
}

export interface EmbeddingShape {
  readonly vocabulary: number;
  readonly size: number;
  readonly maxPositions: number;
  /** Rows of the table of token types; none where the model has no such table. */
  readonly types: number;
}

/**
 * Words + token types + positions, before the norm: [batch, sequence, size].
 *
 * @param positions undefined where positions are not embedded
 */
export function summedEmbeddings(
  module: Module,
  shape: EmbeddingShape,
  positions: Value | undefined,
): Value {
  const { vocabulary, size, maxPositions, types } = shape;
  const words = module.at('word_embeddings');
  let sum = embedding(words, module.input('input_ids'), vocabulary, size);
  if (types > 0) sum = module.apply('Add', [sum, typeEmbedding(module, types, size)]);
  if (positions === undefined) return sum;
  const table = module.at('position_embeddings');
  return module.apply('Add', [sum, embedding(table, positions, maxPositions, size)]);
}

/** With a single type every token has it: the model then needs no input for it. */
function typeEmbedding(module: Module, types: number, size: number): Value {
  const table = module.at('token_type_embeddings');
  const ids = types === 1 ? module.graph.integer(0) : module.input('token_type_ids');
  return embedding(table, ids, types, size);
}

/** The sum with its norm, as BERT has it. */
export function normedEmbeddings(
  module: Module,
  shape: EmbeddingShape & { readonly epsilon: number },
  positions: Value | undefined,
): Value {
  const { size, epsilon } = shape;
  const sum = summedEmbeddings(module, shape, positions);
  return layerNorm(module.at('LayerNorm'), sum, { size, epsilon });
}
