/**
 * DeBERTa-v2 and v3 (He et al., arXiv:2006.03654, arXiv:2111.09543): BERT's layers with disentangled attention,
 * and in the largest a convolution beside the first layer.
 */

import { activate, readActivation } from '../layers/activations.js';
import { attend, projectedHeads, projectedKeys } from '../layers/attention.js';
import { type BertShape, bertIntermediate, readBertShape } from '../layers/bert-encoder.js';
import { type Disentangled, disentangledTerms, readDisentangled } from '../layers/disentangled.js';
import { summedEmbeddings } from '../layers/embeddings.js';
import { tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import { additiveMask, firstToken, positions, tokenMask } from '../layers/sequence.js';
import type { Config } from '../network/config.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';

const DEFAULTS = {
  ...{ layers: 24, hidden: 1536, heads: 24, intermediate: 6144 },
  ...{ vocabulary: 128_100, types: 0, epsilon: 1e-7 },
};

interface DebertaShape extends BertShape {
  readonly disentangled: Disentangled;
}

export const debertaV2: Family = {
  name: 'DeBERTa-v2, DeBERTa-v3',
  modelTypes: ['deberta-v2'],
  classes: ['DebertaV2'],
  base: 'deberta',
  describe(root, config, task) {
    const bert = readBertShape(config, DEFAULTS);
    const shape = { ...bert, disentangled: readDisentangled(config, bert) };
    const { hidden } = shape;
    const model = root.at('deberta');
    const embedded = embeddings(model.at('embeddings'), config, shape);
    const states = encoder(model.at('encoder'), embedded, config, shape);
    const labels = config.labels();
    if (task === 'token') return tokenClassifier(root, states, { hidden, labels });
    const pooled = pooler(root.at('pooler'), states, config, hidden);
    return linear(root.at('classifier'), pooled, { from: hidden, to: labels });
  },
};

/** Padding is set to zero: the convolution would see it. */
function embeddings(module: Module, config: Config, shape: DebertaShape): Value {
  const { hidden, epsilon } = shape;
  const size = config.integer('embedding_size', hidden);
  const places = config.flag('position_biased_input', true) ? positions(module) : undefined;
  const sum = summedEmbeddings(module, { ...shape, size }, places);
  const projection = { from: size, to: hidden, bias: false };
  const wide = size === hidden ? sum : linear(module.at('embed_proj'), sum, projection);
  return masked(module, layerNorm(module.at('LayerNorm'), wide, { size: hidden, epsilon }));
}

function encoder(module: Module, input: Value, config: Config, shape: DebertaShape): Value {
  let states = input;
  for (let index = 0; index < shape.layers; index += 1) {
    states = layer(module.at('layer').at(index), states, module, shape);
    if (index === 0) states = convolution(module.at('conv'), input, states, config, shape);
  }
  return states;
}

function layer(module: Module, input: Value, whole: Module, shape: DebertaShape): Value {
  const { hidden, intermediate, epsilon } = shape;
  const attention = module.at('attention');
  const attended = selfAttention(attention.at('self'), input, whole, shape);
  const projected = linear(attention.at('output.dense'), attended, { from: hidden, to: hidden });
  const sum = attention.apply('Add', [projected, input]);
  const states = layerNorm(attention.at('output.LayerNorm'), sum, { size: hidden, epsilon });
  const wide = bertIntermediate(module.at('intermediate'), states, shape);
  const narrow = linear(module.at('output.dense'), wide, { from: intermediate, to: hidden });
  const outer = module.apply('Add', [narrow, states]);
  return layerNorm(module.at('output.LayerNorm'), outer, { size: hidden, epsilon });
}

/** Content to content, content to position, position to content: each divided by the root of their number. */
function selfAttention(module: Module, input: Value, whole: Module, shape: DebertaShape): Value {
  const { disentangled } = shape;
  const heads = { heads: shape.heads, size: shape.headSize };
  const query = projectedHeads(module.at('query_proj'), input, heads);
  const keys = projectedKeys(module.at('key_proj'), input, heads);
  const value = projectedHeads(module.at('value_proj'), input, heads);
  const divisor = Math.sqrt(shape.headSize * (1 + disentangled.kinds.length));
  const terms = disentangledTerms(module, whole, { query, keys, divisor }, disentangled);
  const biases = [...terms, additiveMask(module)];
  return attend(module, { query, keys, value, divisor, biases }, heads);
}

/** A convolution over the embeddings, added to what the first layer made of them. */
function convolution(
  module: Module,
  embedded: Value,
  states: Value,
  config: Config,
  { hidden, epsilon }: DebertaShape,
): Value {
  const width = config.integer('conv_kernel_size', 0, { min: 0, max: 1023 });
  if (width === 0) return states;
  if (width % 2 === 0)
    config.problems.push(`conv_kernel_size is ${width}, an odd number is needed`);
  const groups = config.integer('conv_groups', 1);
  const activation = readActivation(config, 'conv_act', 'tanh');
  const conv = module.at('conv');
  const weight = conv.parameter('weight', [hidden, Math.floor(hidden / groups), width]);
  const columns = conv.apply('Transpose', [embedded], { perm: [0, 2, 1] });
  const pad = Math.floor((width - 1) / 2);
  const inputs = [columns, weight, conv.parameter('bias', [hidden])];
  const convolved = conv.apply('Conv', inputs, { group: groups, pads: [pad, pad] });
  const rows = conv.apply('Transpose', [convolved], { perm: [0, 2, 1] });
  const active = activate(module, activation, masked(module, rows));
  const sum = module.apply('Add', [states, active]);
  return masked(module, layerNorm(module.at('LayerNorm'), sum, { size: hidden, epsilon }));
}

function masked(module: Module, states: Value): Value {
  const mask = module.once('mask_column', (of) =>
    of.apply('Unsqueeze', [tokenMask(of), of.graph.integers(2)]),
  );
  return module.apply('Mul', [states, mask]);
}

function pooler(module: Module, states: Value, config: Config, hidden: number): Value {
  const size = config.integer('pooler_hidden_size', hidden);
  if (size !== hidden) {
    config.problems.push(`pooler_hidden_size is ${size}, that of the states is ${hidden}`);
  }
  const first = firstToken(module, states);
  const dense = linear(module.at('dense'), first, { from: hidden, to: hidden });
  return activate(module, readActivation(config, 'pooler_hidden_act', 'gelu'), dense);
}
