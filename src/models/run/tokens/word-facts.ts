/** What a tokenizer's files say of words. Pure. The rules are those of transformers (4.57). */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

export interface WordFacts {
  /** Whether tokens that go on with a word have a prefix, as WordPiece has `##`. */
  readonly hasPrefix: boolean;
  /** The token for what the vocabulary does not hold; undefined if there is none. */
  readonly unknown: string | undefined;
}

/** Classes of transformers that have no unknown token unless their files name one. */
const WITHOUT_UNKNOWN = /^PreTrainedTokenizer(?:Fast)?$/;

/**
 * The unknown token:
 *
 * 1. As special_tokens_map.json names it, which is read only beside a config that does not list the added tokens.
 * 2. As tokenizer_config.json does; with null there is none.
 * 3. Other classes than the bare one have a default of their own, which is what the tokenizer's model makes of the
 *    unknown. Byte-level models know every text: it is the added token of that name.
 */
export function wordFactsOf(json: JsonObject, config: JsonObject, special: JsonObject): WordFacts {
  const model = isObject(json.model) ? json.model : {};
  const prefix = model.continuing_subword_prefix;
  const isListed = isObject(config.added_tokens_decoder);
  const mapped = isListed ? undefined : contentOf(special.unk_token);
  const named = mapped ?? contentOf(config.unk_token);
  const isBare = WITHOUT_UNKNOWN.test(String(config.tokenizer_class));
  const hasNone = config.unk_token === null || isBare;
  return {
    hasPrefix: typeof prefix === 'string' && prefix !== '',
    unknown: named ?? (hasNone ? undefined : (unknownOf(model) ?? addedUnknown(json))),
  };
}

/** A token as files write it: a text, or an object with its content. */
function contentOf(token: unknown): string | undefined {
  const content = isObject(token) ? token.content : token;
  return typeof content === 'string' ? content : undefined;
}

function unknownOf(model: JsonObject): string | undefined {
  if (typeof model.unk_token === 'string') return model.unk_token;
  const { unk_id: id, vocab } = model;
  const entry: unknown = Array.isArray(vocab) && typeof id === 'number' ? vocab[id] : undefined;
  return Array.isArray(entry) && typeof entry[0] === 'string' ? entry[0] : undefined;
}

function addedUnknown({ added_tokens: added }: JsonObject): string | undefined {
  const contents = (Array.isArray(added) ? added : []).map(contentOf);
  return contents.find((content) => content === '<unk>' || content === '[UNK]');
}
