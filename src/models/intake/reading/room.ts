/** How many tokens a model takes, and on which side a text is cut and padded, as its files say. Pure. */
import { boundedInteger, type JsonObject } from '../folder/json.js';

/** No real model takes more. Hugging Face writes 1e30 as `model_max_length` where nobody knows. */
export const MAX_TOKENS = 1_048_576;
const DEFAULT_MAX_TOKENS = 512;
const LEAST_TOKENS = 4;

export interface Room {
  /** Most tokens of a text, special tokens included. */
  readonly maxTokens: number;
  readonly from: string;
}

/**
 * Model types whose positions begin behind the padding token (`create_position_ids_from_input_ids` in transformers),
 * so that their position table takes `pad_token_id` + 1 tokens fewer than it has rows.
 */
const POSITIONS_AFTER_PADDING = new Set([
  ...['roberta', 'roberta-prelayernorm', 'xlm-roberta', 'xlm-roberta-xl', 'camembert', 'xmod'],
  ...['mpnet', 'longformer', 'data2vec-text', 'ibert', 'luke', 'mluke', 'lilt', 'esm'],
  ...['layoutlmv3', 'markuplm', 'mega', 'bridgetower_text_model', 'clip_roberta'],
]);

/** The first position of a text's tokens in the model's position table. */
export function positionOffset(config: JsonObject): number {
  if (typeof config.model_type !== 'string') return 0;
  if (!POSITIONS_AFTER_PADDING.has(config.model_type)) return 0;
  return (boundedInteger(config.pad_token_id, 0, 1000) ?? 1) + 1;
}

/**
 * The smaller of what the tokenizer and the position table allow. It is an upper bound: when the model is prepared
 * its longest text is run, and what the graph cannot take is taken off.
 *
 * @throws Error if no text fits
 */
export function roomOf(config: JsonObject, tokenizer: JsonObject): Room {
  const rows = boundedInteger(
    config.max_position_embeddings ?? config.n_positions ?? config.max_seq_len,
    2,
    MAX_TOKENS,
  );
  const offset = positionOffset(config);
  const fromTable =
    rows === undefined
      ? undefined
      : { maxTokens: rows - offset, from: `config.json: ${rows} positions${lessOffset(offset)}` };
  const length = boundedInteger(tokenizer.model_max_length ?? tokenizer.max_len, 2, MAX_TOKENS);
  const fromTokenizer = length && {
    maxTokens: length,
    from: 'tokenizer_config.json: model_max_length',
  };
  const known = [fromTokenizer, fromTable].filter((room) => room !== undefined && room !== 0);
  const room = known.reduce<Room | undefined>(
    (least, each) => (least === undefined || each.maxTokens < least.maxTokens ? each : least),
    undefined,
  );
  if (room === undefined) {
    return { maxTokens: DEFAULT_MAX_TOKENS, from: 'the usual number: no file says how many' };
  }
  if (room.maxTokens < LEAST_TOKENS) {
    throw new Error(`it has room for ${room.maxTokens} tokens only (${room.from})`);
  }
  return room;
}

function lessOffset(offset: number): string {
  return offset === 0 ? '' : `, of which the first ${offset} are never a text's`;
}

export type Side = 'left' | 'right';

/** The side of a text that is cut off, or padded: right, unless `tokenizer_config.json` says left. */
export function sideOf(value: unknown, otherwise: unknown = undefined): Side {
  for (const each of [value, otherwise]) {
    if (typeof each !== 'string') continue;
    if (each.toLowerCase() === 'left') return 'left';
    if (each.toLowerCase() === 'right') return 'right';
  }
  return 'right';
}
