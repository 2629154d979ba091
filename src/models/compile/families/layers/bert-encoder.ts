/**
 * The encoder of BERT (Devlin et al., arXiv:1810.04805), which RoBERTa and ELECTRA have too: attention and a
 * feed-forward network, each followed by its residual and a norm.
 */
import type { Config } from '../network/config.js';
import type { Module, Value } from '../network/network.js';
import { type EncoderSizes, readSizes } from '../network/sizes.js';
import { type ActivationName, activate, readActivation } from './activations.js';
import { attend, projectedHeads, projectedKeys } from './attention.js';
import { linear } from './linear.js';
import { layerNorm } from './norm.js';
import { relativeKeyTerms } from './relative-key.js';
import { additiveMask } from './sequence.js';

/** How attention learns where tokens are (`position_embedding_type`). */
export type PositionType = 'absolute' | 'relative_key' | 'relative_key_query';

export interface BertShape extends EncoderSizes {
  readonly vocabulary: number;
  readonly maxPositions: number;
  readonly types: number;
  readonly activation: ActivationName;
  readonly epsilon: number;
  readonly positionType: PositionType;
}

/** No encoder with a table of positions has more; lists by distance are twice as long. */
const MAX_POSITIONS = 65_536;

/** Defaults of BertConfig; the others' differ where they say so. */
const DEFAULTS = {
  ...{ layers: 12, hidden: 768, heads: 12, intermediate: 3072 },
  ...{ vocabulary: 30_522, maxPositions: 512, types: 2, epsilon: 1e-12 },
  activation: 'gelu' as ActivationName,
};

export function readBertShape(config: Config, changes: Partial<typeof DEFAULTS> = {}): BertShape {
  const defaults = { ...DEFAULTS, ...changes };
  const types = ['absolute', 'relative_key', 'relative_key_query'] as const;
  return {
    ...readSizes(config, defaults),
    vocabulary: config.integer('vocab_size', defaults.vocabulary),
    maxPositions: config.integer('max_position_embeddings', defaults.maxPositions, {
      max: MAX_POSITIONS,
    }),
    // A family that has token types only sometimes says so by a default of 0.
    types: config.integer('type_vocab_size', defaults.types, { min: Math.min(1, defaults.types) }),
    activation: readActivation(config, 'hidden_act', defaults.activation),
    epsilon: config.positive('layer_norm_eps', defaults.epsilon),
    positionType: config.choice('position_embedding_type', types, 'absolute'),
  };
}

/** All layers: [batch, sequence, hidden] to the same. */
export function bertEncoder(module: Module, input: Value, shape: BertShape): Value {
  let states = input;
  for (let index = 0; index < shape.layers; index += 1) {
    states = bertLayer(module.at('layer').at(index), states, shape);
  }
  return states;
}

function bertLayer(module: Module, input: Value, shape: BertShape): Value {
  const { hidden } = shape;
  const attention = module.at('attention');
  const attended = bertSelfAttention(attention.at('self'), input, shape);
  const projected = linear(attention.at('output.dense'), attended, { from: hidden, to: hidden });
  const states = residualNorm(attention.at('output'), projected, input, shape);
  const wide = bertIntermediate(module.at('intermediate'), states, shape);
  const narrow = linear(module.at('output.dense'), wide, { from: shape.intermediate, to: hidden });
  return residualNorm(module.at('output'), narrow, states, shape);
}

/** The module's `query`, `key` and `value`: [batch, sequence, hidden] to the same, before the output layer. */
export function bertSelfAttention(module: Module, input: Value, shape: BertShape): Value {
  const heads = { heads: shape.heads, size: shape.headSize };
  const query = projectedHeads(module.at('query'), input, heads);
  const keys = projectedKeys(module.at('key'), input, heads);
  const value = projectedHeads(module.at('value'), input, heads);
  const divisor = Math.sqrt(shape.headSize);
  // The position terms are divided as the products are.
  const terms = relativeKeyTerms(module, { query, keys, divisor }, shape);
  const biases = [...terms, additiveMask(module)];
  return attend(module, { query, keys, value, divisor, biases }, heads);
}

/** The wide layer of the feed-forward network with its activation. */
export function bertIntermediate(module: Module, input: Value, shape: BertShape): Value {
  const wide = linear(module.at('dense'), input, { from: shape.hidden, to: shape.intermediate });
  return activate(module, shape.activation, wide);
}

function residualNorm(module: Module, states: Value, residual: Value, shape: BertShape): Value {
  const sum = module.apply('Add', [states, residual]);
  return layerNorm(module.at('LayerNorm'), sum, { size: shape.hidden, epsilon: shape.epsilon });
}
