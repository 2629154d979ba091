/**
 * ModernBERT (Warner et al., arXiv:2412.13663): norms before the layers, rotary positions, gated feed-forward
 * networks, and attention to a window of neighbours in all but every third layer.
 */

import { type ActivationName, activate, readActivation } from '../layers/activations.js';
import { attend } from '../layers/attention.js';
import { embedding } from '../layers/embeddings.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import { rotated } from '../layers/rotary.js';
import { additiveMask, firstToken, meanOfTokens, windowMask } from '../layers/sequence.js';
import type { Config } from '../network/config.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';
import { type EncoderSizes, readSizes } from '../network/sizes.js';

const GLOBAL_THETA = 160_000;
const LOCAL_THETA = 10_000;

interface ModernBertShape extends EncoderSizes {
  readonly activation: ActivationName;
  readonly epsilon: number;
  readonly normBias: boolean;
  readonly attentionBias: boolean;
  readonly networkBias: boolean;
  /** For each layer, whether it attends to the whole sequence. */
  readonly isGlobal: readonly boolean[];
  /** Tokens to each side that the others attend to. */
  readonly window: number;
  readonly globalTheta: number;
  readonly localTheta: number;
}

export const modernbert: Family = {
  name: 'ModernBERT',
  modelTypes: ['modernbert'],
  classes: ['ModernBert'],
  base: 'model',
  describe(root, config, task) {
    const shape = readShape(config);
    const model = root.at('model');
    let states = embeddings(model.at('embeddings'), config, shape);
    for (let index = 0; index < shape.layers; index += 1) {
      states = layer(model.at('layers').at(index), states, index, shape);
    }
    states = norm(model.at('final_norm'), states, shape);
    const pooling = config.choice('classifier_pooling', ['cls', 'mean'], 'cls');
    if (task === 'sequence') {
      states = pooling === 'cls' ? firstToken(root, states) : meanOfTokens(root, states);
    }
    const pooled = predictionHead(root.at('head'), states, config, shape);
    const sizes = { from: shape.hidden, to: config.labels() };
    return linear(root.at('classifier'), pooled, sizes);
  },
};

function readShape(config: Config): ModernBertShape {
  const sizes = readSizes(config, { layers: 22, hidden: 768, heads: 12, intermediate: 1152 });
  if (sizes.headSize % 2 !== 0) {
    config.problems.push(`heads are ${sizes.headSize} wide, an even number is needed to turn them`);
  }
  return {
    ...sizes,
    ...readThetas(config),
    isGlobal: readGlobalLayers(config, sizes.layers),
    activation: readActivation(config, 'hidden_activation', 'gelu'),
    epsilon: config.positive('norm_eps', 1e-5),
    normBias: config.flag('norm_bias', false),
    attentionBias: config.flag('attention_bias', false),
    networkBias: config.flag('mlp_bias', false),
    window: Math.floor(config.integer('local_attention', 128) / 2),
  };
}

/** Which layers attend to the whole sequence: every so many from the first, or as newer files list them. */
function readGlobalLayers(config: Config, layers: number): readonly boolean[] {
  const types = config.raw('layer_types');
  if (types === undefined) {
    const every = config.integer('global_attn_every_n_layers', 3);
    return Array.from({ length: layers }, (_, index) => index % every === 0);
  }
  const known = ['full_attention', 'sliding_attention'];
  if (
    !Array.isArray(types) ||
    types.length !== layers ||
    types.some((one) => !known.includes(one))
  ) {
    config.problems.push(`layer_types is not a list of ${layers}, each ${known.join(' or ')}`);
    return [];
  }
  return types.map((type) => type === 'full_attention');
}

/** The bases of the rotary angles; newer files have them in `rope_parameters`, by the layers' type. */
function readThetas(config: Config): Pick<ModernBertShape, 'globalTheta' | 'localTheta'> {
  config.refuse('rope_scaling', () => false, 'scaled rotary positions are not described');
  config.refuse('partial_rotary_factor', (value) => value === 1, 'all of a head is turned');
  const newer = config.part('rope_parameters');
  if (newer !== undefined) {
    const thetaOf = (type: string, fallback: number): number => {
      const rope = newer.part(type);
      rope?.choice('rope_type', ['default'], 'default');
      return rope?.positive('rope_theta', fallback) ?? fallback;
    };
    return {
      globalTheta: thetaOf('full_attention', GLOBAL_THETA),
      localTheta: thetaOf('sliding_attention', LOCAL_THETA),
    };
  }
  const globalTheta = config.positive('global_rope_theta', GLOBAL_THETA);
  // Null means: as in the layers that attend to all.
  if (config.isNull('local_rope_theta')) return { globalTheta, localTheta: globalTheta };
  return { globalTheta, localTheta: config.positive('local_rope_theta', LOCAL_THETA) };
}

function embeddings(module: Module, config: Config, shape: ModernBertShape): Value {
  const vocabulary = config.integer('vocab_size', 50_368);
  const words = module.at('tok_embeddings');
  const embedded = embedding(words, module.input('input_ids'), vocabulary, shape.hidden);
  return norm(module.at('norm'), embedded, shape);
}

function layer(module: Module, input: Value, index: number, shape: ModernBertShape): Value {
  const { hidden, intermediate } = shape;
  // The embeddings have their norm already.
  const normed = index === 0 ? input : norm(module.at('attn_norm'), input, shape);
  const attended = attention(module.at('attn'), normed, index, shape);
  const states = module.apply('Add', [input, attended]);
  const network = module.at('mlp');
  const wideShape = { from: hidden, to: 2 * intermediate, bias: shape.networkBias };
  const wide = linear(network.at('Wi'), norm(module.at('mlp_norm'), states, shape), wideShape);
  const halves = network.applyMany('Split', [wide], 2, { axis: -1 });
  const [value = '', gate = ''] = halves;
  const gated = network.apply('Mul', [activate(network, shape.activation, value), gate]);
  const narrowShape = { from: intermediate, to: hidden, bias: shape.networkBias };
  return module.apply('Add', [states, linear(network.at('Wo'), gated, narrowShape)]);
}

function attention(module: Module, input: Value, index: number, shape: ModernBertShape): Value {
  const { graph } = module;
  const { hidden, heads, headSize: size } = shape;
  const bias = shape.attentionBias;
  const isGlobal = shape.isGlobal[index] === true;
  const theta = isGlobal ? shape.globalTheta : shape.localTheta;
  const all = linear(module.at('Wqkv'), input, { from: hidden, to: 3 * hidden, bias });
  const split = module.apply('Reshape', [all, graph.integers(0, 0, 3, heads, size)]);
  const parts = module.apply('Transpose', [split], { perm: [2, 0, 3, 1, 4] });
  const part = (at: number) => module.apply('Gather', [parts, graph.integer(at)], { axis: 0 });
  const query = rotated(module, part(0), size, theta);
  const rows = rotated(module, part(1), size, theta);
  const keys = module.apply('Transpose', [rows], { perm: [0, 1, 3, 2] });
  const mask = isGlobal ? additiveMask(module) : windowMask(module, shape.window);
  const inputs = { query, keys, value: part(2), divisor: Math.sqrt(size), biases: [mask] };
  const attended = attend(module, inputs, { heads, size });
  return linear(module.at('Wo'), attended, { from: hidden, to: hidden, bias });
}

/** Dense, activation, norm; of the pooled state or of each token. */
function predictionHead(
  module: Module,
  states: Value,
  config: Config,
  shape: ModernBertShape,
): Value {
  const { hidden } = shape;
  const bias = config.flag('classifier_bias', false);
  const dense = linear(module.at('dense'), states, { from: hidden, to: hidden, bias });
  const activation = readActivation(config, 'classifier_activation', 'gelu');
  return norm(module.at('norm'), activate(module, activation, dense), shape);
}

function norm(module: Module, states: Value, shape: ModernBertShape): Value {
  const { hidden: size, epsilon, normBias: bias } = shape;
  return layerNorm(module, states, { size, epsilon, bias });
}
