/**
 * `tokenizer.json` as transformers loads it: what `tokenizer_config.json` changes in it is changed. Pure. The rules
 * are those of `PreTrainedTokenizerFast.__init__` and `BertTokenizerFast.__init__` (transformers 4.57).
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';
import { type Side, sideOf } from '../../intake/reading/room.js';
import { tokenizerClass } from '../../intake/reading/tokenizer-class.js';
import { givesTokenTypes, withoutTypes } from './token-types.js';

export interface EffectiveTokenizer {
  readonly json: JsonObject;
  /** The side of a text that is cut off where it is too long. */
  readonly truncationSide: Side;
}

/**
 * @param className class of transformers without `Tokenizer` and `Fast`, where config.json tells it
 *
 * 1. Truncation and padding are done here, whatever the file says; the side that is cut is taken from it.
 * 2. Tokens that only the config knows are added.
 * 3. `split_special_tokens`: special tokens in a text are plain text.
 * 4. Tokenizers of BERT's kind: lower case, accents and Chinese characters as the config says.
 * 5. `add_prefix_space` of byte-level tokenizers.
 * 6. Token types that the model is not given are 0.
 */
export function effectiveTokenizer(
  file: JsonObject,
  config: JsonObject,
  className = tokenizerClass(config, {}),
): EffectiveTokenizer {
  const direction = isObject(file.truncation) ? file.truncation.direction : undefined;
  const truncationSide = sideOf(config.truncation_side, direction);
  const json: Record<string, unknown> = { ...file, truncation: null, padding: null }; // 1
  json.added_tokens = addedTokens(file, config); // 2, 3
  json.normalizer = withBertSettings(file.normalizer, config, className); // 4
  json.pre_tokenizer = withPrefixSpace(file.pre_tokenizer, config); // 5
  if (!givesTokenTypes(config, className)) json.post_processor = withoutTypes(file.post_processor); // 6
  return { json, truncationSide };
}

function addedTokens(file: JsonObject, config: JsonObject): readonly JsonObject[] {
  const tokens = (Array.isArray(file.added_tokens) ? file.added_tokens : []).filter(isObject);
  const known = new Set(tokens.map((token) => token.content));
  const next = highestId(file, tokens) + 1;
  const more = Object.entries(
    isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {},
  )
    .map(([id, token]) => (isObject(token) ? { ...TOKEN, ...token, id: Number(id) } : undefined))
    .filter((token) => token !== undefined && !known.has(contentOf(token)))
    .filter((token) => token !== undefined)
    .sort((a, b) => a.id - b.id);
  const vocabulary = vocabularyOf(file);
  // Tokenizers number new tokens in turn: one with another number would get a wrong id.
  const added = more.filter(
    (token, index) =>
      token.id === next + index || vocabulary?.[String(contentOf(token))] === token.id,
  );
  const all: readonly JsonObject[] = [...tokens, ...added];
  return config.split_special_tokens === true ? all.filter(({ special }) => special !== true) : all;
}

function contentOf(token: JsonObject): unknown {
  return token.content;
}

const TOKEN = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: true,
  special: false,
};

function vocabularyOf(file: JsonObject): JsonObject | undefined {
  const vocabulary = isObject(file.model) ? file.model.vocab : undefined;
  return isObject(vocabulary) ? vocabulary : undefined;
}

function highestId(file: JsonObject, tokens: readonly JsonObject[]): number {
  let highest = -1;
  for (const { id } of tokens) if (typeof id === 'number' && id > highest) highest = id;
  const model = isObject(file.model) ? file.model : {};
  if (Array.isArray(model.vocab)) return Math.max(highest, model.vocab.length - 1);
  for (const id of Object.values(vocabularyOf(file) ?? {})) {
    if (typeof id === 'number' && id > highest) highest = id;
  }
  return highest;
}

/** Tokenizer classes whose constructor sets the normalizer from its own arguments. */
const BERT_CLASS =
  /^(?:Bert|DistilBert|Electra|MobileBert|SqueezeBert|Funnel|ConvBert|LayoutLM|Lxmert|RetriBert|MPNet)$/;

function withBertSettings(
  normalizer: unknown,
  config: JsonObject,
  className: string | undefined,
): unknown {
  if (!isObject(normalizer) || normalizer.type !== 'BertNormalizer') return normalizer ?? null;
  if (className === undefined || !BERT_CLASS.test(className)) return normalizer;
  // What the config leaves out has the constructor's default.
  const { do_lower_case = true, strip_accents = null, tokenize_chinese_chars = true } = config;
  return {
    ...normalizer,
    lowercase: do_lower_case === true,
    strip_accents: typeof strip_accents === 'boolean' ? strip_accents : null,
    handle_chinese_chars: tokenize_chinese_chars === true,
  };
}

function withPrefixSpace(preTokenizer: unknown, config: JsonObject): unknown {
  if (!isObject(preTokenizer) || preTokenizer.type !== 'ByteLevel') return preTokenizer ?? null;
  const { add_prefix_space: own } = config;
  return typeof own === 'boolean' ? { ...preTokenizer, add_prefix_space: own } : preTokenizer;
}
