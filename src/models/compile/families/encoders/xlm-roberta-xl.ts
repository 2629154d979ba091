/**
 * XLM-RoBERTa-XL (Goyal et al., arXiv:2105.00572): RoBERTa with the norms before attention and before the
 * feed-forward network, one behind the last layer, and none behind the embeddings.
 */

import {
  type BertShape,
  bertIntermediate,
  bertSelfAttention,
  readBertShape,
} from '../layers/bert-encoder.js';
import { summedEmbeddings } from '../layers/embeddings.js';
import { denseHead, tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';
import { robertaPositions } from './roberta.js';

const DEFAULTS = {
  ...{ layers: 36, hidden: 2560, heads: 32, intermediate: 10_240 },
  ...{ vocabulary: 250_880, maxPositions: 514, types: 1, epsilon: 1e-5 },
};

export const xlmRobertaXl: Family = {
  name: 'XLM-RoBERTa-XL',
  modelTypes: ['xlm-roberta-xl'],
  classes: ['XLMRobertaXL'],
  base: 'roberta',
  describe(root, config, task) {
    const shape = readBertShape(config, DEFAULTS);
    const { hidden, epsilon } = shape;
    const model = root.at('roberta');
    const encoder = model.at('encoder');
    const places = robertaPositions(root, config, shape);
    let states = summedEmbeddings(model.at('embeddings'), { ...shape, size: hidden }, places);
    for (let index = 0; index < shape.layers; index += 1) {
      states = layer(encoder.at('layer').at(index), states, shape);
    }
    states = layerNorm(encoder.at('LayerNorm'), states, { size: hidden, epsilon });
    const head = { hidden, labels: config.labels() };
    if (task === 'token') return tokenClassifier(root, states, head);
    return denseHead(root.at('classifier'), states, 'tanh', head);
  },
};

function layer(module: Module, input: Value, shape: BertShape): Value {
  const { hidden, intermediate, epsilon } = shape;
  const attention = module.at('attention');
  const norm = attention.at('self_attn_layer_norm');
  const normed = layerNorm(norm, input, { size: hidden, epsilon });
  const attended = bertSelfAttention(attention.at('self'), normed, shape);
  const projected = linear(attention.at('output.dense'), attended, { from: hidden, to: hidden });
  const states = attention.apply('Add', [projected, input]);
  const inner = layerNorm(module.at('LayerNorm'), states, { size: hidden, epsilon });
  const wide = bertIntermediate(module.at('intermediate'), inner, shape);
  const narrow = linear(module.at('output.dense'), wide, { from: intermediate, to: hidden });
  return module.apply('Add', [narrow, states]);
}
