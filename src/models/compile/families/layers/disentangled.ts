/**
 * The position terms of disentangled attention (He et al., arXiv:2006.03654): content to position (c2p)
 * multiplies queries with keys that are made of relative positions, position to content (p2c) multiplies keys with
 * queries that are made of them.
 */
import type { Config } from '../network/config.js';
import type { Module, Value } from '../network/network.js';
import { type HeadShape, keysAsRows, scaledProduct } from './attention.js';
import type { BertShape } from './bert-encoder.js';
import { listByDistance, placeByDistance } from './distances.js';
import { linear } from './linear.js';
import { layerNorm } from './norm.js';

/**
 * Most tokens where no table bounds them: distances beyond the table's have its last row. The lists are made once for a
 * network, and have 16 bytes for each token.
 */
const LONGEST_WITHOUT_TABLE = 8192;

export interface Disentangled extends HeadShape {
  /** The terms that there are, among c2p and p2c. */
  readonly kinds: readonly string[];
  /** False: no term is added, and what `kinds` says only changes the divisor. */
  readonly isRelative: boolean;
  /** Whether positions are projected by the weights of the content. */
  readonly sharesProjections: boolean;
  /** Half the rows of the table of relative positions. */
  readonly span: number;
  /** Buckets to each side; 0: every distance has its own row. */
  readonly buckets: number;
  readonly maxDistance: number;
  /** Most tokens of a sequence. */
  readonly longest: number;
  /** Epsilon of the norm of the table; undefined where it has none. */
  readonly normEpsilon: number | undefined;
}

export function readDisentangled(config: Config, shape: BertShape): Disentangled {
  const limit = config.integer('max_relative_positions', -1, { min: -1 });
  const maxDistance = limit < 1 ? shape.maxPositions : limit;
  const buckets = Math.max(0, config.integer('position_buckets', -1, { min: -1 }));
  const norms = config.text('norm_rel_ebd', 'none').toLowerCase().split('|');
  const hasNorm = norms.some((name) => name.trim() === 'layer_norm');
  const headSize = config.integer('attention_head_size', shape.headSize);
  if (headSize !== shape.headSize) {
    config.problems.push(`attention_head_size is ${headSize}, ${shape.headSize} is needed`);
  }
  // With a table of absolute positions its rows are the bound.
  const isRelativeOnly = !config.flag('position_biased_input', true);
  const longest = isRelativeOnly
    ? Math.max(shape.maxPositions, LONGEST_WITHOUT_TABLE)
    : shape.maxPositions;
  return {
    ...{ heads: shape.heads, size: shape.headSize },
    kinds: readKinds(config),
    isRelative: config.flag('relative_attention', false),
    sharesProjections: config.flag('share_att_key', false),
    span: buckets > 0 ? buckets : maxDistance,
    ...{ buckets, maxDistance, longest },
    normEpsilon: hasNorm ? shape.epsilon : undefined,
  };
}

/** `["c2p", "p2c"]`, or `"c2p|p2c"` in old files. */
function readKinds(config: Config): readonly string[] {
  const value = config.raw('pos_att_type') ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : String(value).split('|');
  const names = list.map((name) => String(name).trim().toLowerCase()).filter((name) => name !== '');
  const odd = names.filter((name) => name !== 'c2p' && name !== 'p2c');
  if (odd.length > 0) config.problems.push(`pos_att_type has ${odd.join(', ')}, not c2p or p2c`);
  return ['c2p', 'p2c'].filter((name) => names.includes(name));
}

/**
 * The terms, [batch, heads, sequence, sequence] each, divided as the products are.
 *
 * @param module the layer's attention
 * @param encoder the module with `rel_embeddings` and, perhaps, their norm
 */
export function disentangledTerms(
  module: Module,
  encoder: Module,
  {
    query,
    keys,
    divisor,
  }: { readonly query: Value; readonly keys: Value; readonly divisor: number },
  shape: Disentangled,
): readonly Value[] {
  if (!shape.isRelative) return [];
  const { longest, span } = shape;
  const table = positionTable(encoder, shape);
  const shared = shape.sharesProjections;
  const rowOf = (bucket: number) => Math.min(2 * span - 1, Math.max(0, bucket + span));
  return shape.kinds.map((kind) => {
    const isC2p = kind === 'c2p';
    const name = isC2p
      ? shared
        ? 'key_proj'
        : 'pos_key_proj'
      : shared
        ? 'query_proj'
        : 'pos_query_proj';
    const positions = positionHeads(module, name, table, shape);
    // Rows stand for query − key. A list is by column − row, and so by key − query where queries are the rows.
    const sign = isC2p ? -1 : 1;
    const list = listByDistance(module, `${kind}_rows`, longest, (distance) =>
      rowOf(bucketOf(sign * distance, shape)),
    );
    const chosen = module.apply('Gather', [positions, list], { axis: 1 });
    const columns = module.apply('Transpose', [chosen], { perm: [0, 2, 1] });
    const rows = isC2p ? query : keysAsRows(module, keys);
    const placed = placeByDistance(module, scaledProduct(module, rows, columns, divisor));
    return isC2p ? placed : module.apply('Transpose', [placed], { perm: [0, 1, 3, 2] });
  });
}

/** The table of relative positions with its norm: [2 × span, hidden]. */
function positionTable(encoder: Module, { heads, size, span, normEpsilon }: Disentangled): Value {
  return encoder.once('relative_positions', () => {
    const hidden = heads * size;
    const table = encoder.at('rel_embeddings').parameter('weight', [2 * span, hidden]);
    if (normEpsilon === undefined) return table;
    return layerNorm(encoder.at('LayerNorm'), table, { size: hidden, epsilon: normEpsilon });
  });
}

/** The table as keys or queries: [heads, 2 × span, size]. It is constant: ONNX Runtime computes it once. */
function positionHeads(
  module: Module,
  name: string,
  table: Value,
  { heads, size }: Disentangled,
): Value {
  const hidden = heads * size;
  const projection = module.at(name);
  const states = linear(projection, table, { from: hidden, to: hidden });
  const split = projection.apply('Reshape', [states, module.graph.integers(0, heads, size)]);
  return projection.apply('Transpose', [split], { perm: [1, 0, 2] });
}

/**
 * The bucket of a distance: itself up to half the buckets, then logarithmic. In float32, as the class computes
 * it (`make_log_bucket_position`), because a rounding decides the bucket at its edges.
 */
function bucketOf(distance: number, { buckets, maxDistance }: Disentangled): number {
  if (buckets === 0) return distance;
  const middle = Math.floor(buckets / 2);
  const far = Math.abs(distance) < middle ? middle - 1 : Math.abs(distance);
  if (far <= middle) return distance;
  const ratio = Math.fround(Math.log(Math.fround(far / middle)));
  const whole = Math.fround(Math.log(Math.fround((maxDistance - 1) / middle)));
  const steps = Math.ceil(Math.fround(Math.fround(ratio / whole) * (middle - 1)));
  return Math.sign(distance) * (steps + middle);
}
