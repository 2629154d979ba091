/**
 * ALBERT (Lan et al., arXiv:1909.11942): narrow embeddings that are mapped to the hidden size, and layers that
 * share their weights: `num_hidden_groups` groups of `inner_group_num` layers, each run as often as needed.
 */

import { activate } from '../layers/activations.js';
import { attend, projectedHeads, projectedKeys } from '../layers/attention.js';
import { type BertShape, readBertShape } from '../layers/bert-encoder.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import { relativeKeyTerms } from '../layers/relative-key.js';
import { additiveMask, firstToken, positions } from '../layers/sequence.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';

const DEFAULTS = {
  ...{ layers: 12, hidden: 4096, heads: 64, intermediate: 16_384, vocabulary: 30_000 },
  activation: 'gelu_new' as const,
};
const MAX_INNER_LAYERS = 16;

export const albert: Family = {
  name: 'ALBERT',
  modelTypes: ['albert'],
  classes: ['Albert'],
  base: 'albert',
  describe(root, config, task) {
    const shape = readBertShape(config, DEFAULTS);
    const { layers, hidden } = shape;
    const size = config.integer('embedding_size', 128);
    const groups = config.integer('num_hidden_groups', 1, { max: layers });
    const inner = config.integer('inner_group_num', 1, { max: MAX_INNER_LAYERS });
    const model = root.at('albert');
    const encoder = model.at('encoder');
    const places = shape.positionType === 'absolute' ? positions(root) : undefined;
    const embedded = normedEmbeddings(model.at('embeddings'), { ...shape, size }, places);
    const mapping = encoder.at('embedding_hidden_mapping_in');
    let states = linear(mapping, embedded, { from: size, to: hidden });
    for (let index = 0; index < layers; index += 1) {
      const group = encoder.at('albert_layer_groups').at(Math.floor(index / (layers / groups)));
      for (let at = 0; at < inner; at += 1) {
        states = layer(group.at('albert_layers').at(at), states, shape);
      }
    }
    const labels = config.labels();
    if (task === 'token') return tokenClassifier(root, states, { hidden, labels });
    const first = firstToken(model, states);
    const dense = linear(model.at('pooler'), first, { from: hidden, to: hidden });
    const pooled = model.apply('Tanh', [dense]);
    return linear(root.at('classifier'), pooled, { from: hidden, to: labels });
  },
};

function layer(module: Module, input: Value, shape: BertShape): Value {
  const { hidden, intermediate, epsilon } = shape;
  const attended = attention(module.at('attention'), input, shape);
  const wide = linear(module.at('ffn'), attended, { from: hidden, to: intermediate });
  const active = activate(module, shape.activation, wide);
  const narrow = linear(module.at('ffn_output'), active, { from: intermediate, to: hidden });
  const sum = module.apply('Add', [narrow, attended]);
  return layerNorm(module.at('full_layer_layer_norm'), sum, { size: hidden, epsilon });
}

function attention(module: Module, input: Value, shape: BertShape): Value {
  const { hidden, epsilon } = shape;
  const heads = { heads: shape.heads, size: shape.headSize };
  const query = projectedHeads(module.at('query'), input, heads);
  const keys = projectedKeys(module.at('key'), input, heads);
  const value = projectedHeads(module.at('value'), input, heads);
  const divisor = Math.sqrt(shape.headSize);
  // Unlike BERT's, the position terms are not divided.
  const terms = relativeKeyTerms(module, { query, keys, divisor: 1 }, shape);
  const biases = [...terms, additiveMask(module)];
  const attended = attend(module, { query, keys, value, divisor, biases }, heads);
  const projected = linear(module.at('dense'), attended, { from: hidden, to: hidden });
  const sum = module.apply('Add', [projected, input]);
  return layerNorm(module.at('LayerNorm'), sum, { size: hidden, epsilon });
}
