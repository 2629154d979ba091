/**
 * DistilBERT (Sanh et al., arXiv:1910.01108): BERT's encoder with names of its own, without token types and
 * without a pooler.
 */

import { type ActivationName, activate, readActivation } from '../layers/activations.js';
import { attend, projectedHeads, projectedKeys } from '../layers/attention.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import { additiveMask, firstToken, positions } from '../layers/sequence.js';
import type { Config } from '../network/config.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';
import { type EncoderSizes, readSizes } from '../network/sizes.js';

/** Not a setting: the class has it as a constant. */
const EPSILON = 1e-12;

interface DistilBertShape extends EncoderSizes {
  readonly activation: ActivationName;
}

export const distilbert: Family = {
  name: 'DistilBERT',
  modelTypes: ['distilbert'],
  classes: ['DistilBert'],
  base: 'distilbert',
  describe(root, config, task) {
    const shape = readShape(config);
    const { hidden } = shape;
    const model = root.at('distilbert');
    const embeddings = {
      ...{ size: hidden, types: 0, epsilon: EPSILON },
      vocabulary: config.integer('vocab_size', 30_522),
      maxPositions: config.integer('max_position_embeddings', 512),
    };
    let states = normedEmbeddings(model.at('embeddings'), embeddings, positions(root));
    for (let index = 0; index < shape.layers; index += 1) {
      states = layer(model.at('transformer.layer').at(index), states, shape);
    }
    const labels = config.labels();
    if (task === 'token') return tokenClassifier(root, states, { hidden, labels });
    const first = firstToken(root, states);
    const dense = linear(root.at('pre_classifier'), first, { from: hidden, to: hidden });
    const active = root.apply('Relu', [dense]);
    return linear(root.at('classifier'), active, { from: hidden, to: labels });
  },
};

/** The sizes have names of their own, and those of the other families mean the same. */
function readShape(config: Config): DistilBertShape {
  const keys = {
    layers: config.named('n_layers', 'num_hidden_layers'),
    hidden: config.named('dim', 'hidden_size'),
    heads: config.named('n_heads', 'num_attention_heads'),
    intermediate: 'hidden_dim',
  };
  const defaults = { layers: 6, hidden: 768, heads: 12, intermediate: 3072 };
  const activation = readActivation(config, 'activation', 'gelu');
  return { ...readSizes(config, defaults, keys), activation };
}

function layer(module: Module, input: Value, shape: DistilBertShape): Value {
  const { hidden, intermediate } = shape;
  const norm = (name: string, states: Value, residual: Value): Value => {
    const sum = module.apply('Add', [states, residual]);
    return layerNorm(module.at(name), sum, { size: hidden, epsilon: EPSILON });
  };
  const attended = norm('sa_layer_norm', attention(module.at('attention'), input, shape), input);
  const network = module.at('ffn');
  const wide = linear(network.at('lin1'), attended, { from: hidden, to: intermediate });
  const active = activate(network, shape.activation, wide);
  const narrow = linear(network.at('lin2'), active, { from: intermediate, to: hidden });
  return norm('output_layer_norm', narrow, attended);
}

function attention(module: Module, input: Value, shape: DistilBertShape): Value {
  const { hidden } = shape;
  const heads = { heads: shape.heads, size: shape.headSize };
  const query = projectedHeads(module.at('q_lin'), input, heads);
  const keys = projectedKeys(module.at('k_lin'), input, heads);
  const value = projectedHeads(module.at('v_lin'), input, heads);
  const divisor = Math.sqrt(shape.headSize);
  const biases = [additiveMask(module)];
  const attended = attend(module, { query, keys, value, divisor, biases }, heads);
  return linear(module.at('out_lin'), attended, { from: hidden, to: hidden });
}
