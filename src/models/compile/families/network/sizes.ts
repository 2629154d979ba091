/** Settings that most encoders share, as config.json names them. */
import type { Config } from './config.js';

export interface EncoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  /** Width of each head. */
  readonly headSize: number;
  /** Width of the feed-forward network. */
  readonly intermediate: number;
}

/** No encoder has more; it bounds the graph that a hostile file asks for. */
const MAX_LAYERS = 256;

/** The keys of the sizes: most families use these. */
const USUAL_KEYS = {
  layers: 'num_hidden_layers',
  hidden: 'hidden_size',
  heads: 'num_attention_heads',
  intermediate: 'intermediate_size',
};

export function readSizes(
  config: Config,
  defaults: Omit<EncoderSizes, 'headSize'>,
  keys: typeof USUAL_KEYS = USUAL_KEYS,
): EncoderSizes {
  const layers = config.integer(keys.layers, defaults.layers, { max: MAX_LAYERS });
  const hidden = config.integer(keys.hidden, defaults.hidden);
  const heads = config.integer(keys.heads, defaults.heads);
  const intermediate = config.integer(keys.intermediate, defaults.intermediate);
  if (hidden % heads !== 0) {
    config.problems.push(`${keys.hidden} ${hidden} is no multiple of ${keys.heads} ${heads}`);
  }
  return { layers, hidden, heads, headSize: Math.floor(hidden / heads), intermediate };
}

/** What would make any of the families another network than the one described here. */
export function refuseVariants(config: Config): void {
  const isFalse = (value: unknown) => value === false;
  config.refuse('is_decoder', isFalse, 'tokens would see only those before them');
  config.refuse('quantization_config', () => false, 'quantised checkpoints are not read');
  config.refuse('pruned_heads', isEmpty, 'layers with some of their heads are not read');
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
