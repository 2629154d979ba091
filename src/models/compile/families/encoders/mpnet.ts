/**
 * MPNet (Song et al., arXiv:2004.09297): BERT's layers with a bias of attention by distance, as T5 has it (Raffel
 * et al., arXiv:1910.10683), the same for every layer.
 */

import { attend, projectedHeads, projectedKeys } from '../layers/attention.js';
import { type BertShape, bertIntermediate, readBertShape } from '../layers/bert-encoder.js';
import { cutToLength, placeByDistance } from '../layers/distances.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { denseHead, tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { layerNorm } from '../layers/norm.js';
import { additiveMask, positionsBehindPadding, sequenceLength } from '../layers/sequence.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';

/** Constants of the class, whatever config.json says. */
const PAD_TOKEN = 1;
const BUCKETS = 32;
const MAX_DISTANCE = 128;

export const mpnet: Family = {
  name: 'MPNet',
  modelTypes: ['mpnet'],
  classes: ['MPNet'],
  base: 'mpnet',
  describe(root, config, task) {
    const shape = { ...readBertShape(config, { vocabulary: 30_527 }), types: 0 };
    const { hidden } = shape;
    const rows = config.integer('relative_attention_num_buckets', BUCKETS, { min: BUCKETS });
    const model = root.at('mpnet');
    const encoder = model.at('encoder');
    const places = positionsBehindPadding(root, PAD_TOKEN);
    const embeddings = { ...shape, size: hidden };
    let states = normedEmbeddings(model.at('embeddings'), embeddings, places);
    const bias = distanceBias(encoder.at('relative_attention_bias'), rows, shape);
    for (let index = 0; index < shape.layers; index += 1) {
      states = layer(encoder.at('layer').at(index), states, bias, shape);
    }
    const head = { hidden, labels: config.labels() };
    if (task === 'token') return tokenClassifier(root, states, head);
    return denseHead(root.at('classifier'), states, 'tanh', head);
  },
};

function layer(module: Module, input: Value, bias: Value, shape: BertShape): Value {
  const { hidden, intermediate, epsilon } = shape;
  const attention = module.at('attention');
  const attended = selfAttention(attention.at('attn'), input, bias, shape);
  const sum = attention.apply('Add', [attended, input]);
  const states = layerNorm(attention.at('LayerNorm'), sum, { size: hidden, epsilon });
  const wide = bertIntermediate(module.at('intermediate'), states, shape);
  const narrow = linear(module.at('output.dense'), wide, { from: intermediate, to: hidden });
  const outer = module.apply('Add', [narrow, states]);
  return layerNorm(module.at('output.LayerNorm'), outer, { size: hidden, epsilon });
}

function selfAttention(module: Module, input: Value, bias: Value, shape: BertShape): Value {
  const { hidden } = shape;
  const heads = { heads: shape.heads, size: shape.headSize };
  const query = projectedHeads(module.at('q'), input, heads);
  const keys = projectedKeys(module.at('k'), input, heads);
  const value = projectedHeads(module.at('v'), input, heads);
  const divisor = Math.sqrt(shape.headSize);
  const biases = [bias, additiveMask(module)];
  const attended = attend(module, { query, keys, value, divisor, biases }, heads);
  return linear(module.at('o'), attended, { from: hidden, to: hidden });
}

/** What each pair of tokens adds to its score: [1, heads, sequence, sequence]. */
function distanceBias(module: Module, rows: number, { heads, maxPositions }: BertShape): Value {
  const { graph } = module;
  const table = module.parameter('weight', [rows, heads]);
  const distances = Array.from({ length: 2 * maxPositions }, (_, at) => at - (maxPositions - 1));
  const buckets = graph.table(`${module.path}.buckets`, distances.map(bucketOf));
  const byDistance = module.apply('Gather', [table, buckets]);
  const byHead = module.apply('Transpose', [byDistance], { perm: [1, 0] });
  const cut = cutToLength(module, byHead, maxPositions, 1);
  const row = module.apply('Unsqueeze', [cut, graph.integers(0, 2)]);
  const one = graph.integers(1);
  const sizes = [one, one, sequenceLength(module), one];
  const shape = module.apply('Concat', sizes, { axis: 0 });
  return placeByDistance(module, module.apply('Expand', [row, shape]));
}

/**
 * The bucket of a distance (key − query): half of them for keys behind the query, half of those for single
 * distances, the rest logarithmic up to {@link MAX_DISTANCE}. In float32, as the class computes it.
 */
function bucketOf(distance: number): number {
  const half = BUCKETS / 2;
  const exact = half / 2;
  const far = Math.abs(distance);
  const side = distance > 0 ? half : 0;
  if (far < exact) return side + far;
  const ratio = Math.fround(Math.log(Math.fround(far / exact)));
  const share = Math.fround(ratio / Math.fround(Math.log(MAX_DISTANCE / exact)));
  const bucket = exact + Math.trunc(Math.fround(share * (half - exact)));
  return side + Math.min(bucket, half - 1);
}
