/**
 * Tokens that were added to a vocabulary, for folders without a tokenizer.json. Pure. The rules are those of
 * `PreTrainedTokenizerBase._from_pretrained` and `PreTrainedTokenizerFast.__init__` (transformers 4.57).
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/**
 * 1. `added_tokens_decoder` of tokenizer_config.json lists them all, and goes before what the class would set.
 * 2. Without that list `added_tokens.json` numbers them; those that special_tokens_map.json names are special.
 * 3. Further special tokens: with their number where the vocabulary has them, else behind all others.
 *
 * @param made a tokenizer.json that was made of the vocabulary
 */
export function withAddedTokens(
  made: JsonObject,
  added: JsonObject,
  config: JsonObject,
  special: JsonObject,
): JsonObject {
  const model = isObject(made.model) ? made.model : {};
  const vocab = isObject(model.vocab) ? model.vocab : {};
  const tokens = new Map<string, AddedToken>();
  const put = (token: AddedToken | undefined) => {
    if (token !== undefined) tokens.set(token.content, token);
  };
  for (const token of Array.isArray(made.added_tokens) ? made.added_tokens : []) {
    put(tokenOf(token, isObject(token) ? token.id : undefined));
  }
  const further = furtherSpecial(config, special);
  const listed = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : undefined;
  for (const [id, token] of Object.entries(listed ?? {})) put(tokenOf(token, Number(id))); // 1
  for (const [content, id] of listed === undefined ? Object.entries(added) : []) {
    if (!tokens.has(content)) put(tokenOf(plain(content, further.has(content)), id)); // 2
  }
  let next = 1 + Math.max(...numbersIn(vocab), ...[...tokens.values()].map(({ id }) => id));
  for (const content of further) {
    if (tokens.has(content)) continue;
    const known = vocab[content];
    put(tokenOf(plain(content, true), typeof known === 'number' ? known : next)); // 3
    if (typeof known !== 'number') next += 1;
  }
  return { ...made, added_tokens: [...tokens.values()].sort((a, b) => a.id - b.id) };
}

function plain(content: string, isSpecial: boolean): JsonObject {
  return { content, normalized: !isSpecial, special: isSpecial };
}

function tokenOf(token: unknown, id: unknown): AddedToken | undefined {
  if (!isObject(token) || typeof token.content !== 'string') return undefined;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0) return undefined;
  const isSpecial = token.special === true;
  return {
    ...{ id, content: token.content, special: isSpecial },
    single_word: token.single_word === true,
    lstrip: token.lstrip === true,
    rstrip: token.rstrip === true,
    normalized: typeof token.normalized === 'boolean' ? token.normalized : !isSpecial,
  };
}

/** `additional_special_tokens`, as either file names them: texts, or objects with their content. */
function furtherSpecial(config: JsonObject, special: JsonObject): ReadonlySet<string> {
  const found = new Set<string>();
  for (const list of [special.additional_special_tokens, config.additional_special_tokens]) {
    for (const token of Array.isArray(list) ? list : []) {
      const content = isObject(token) ? token.content : token;
      if (typeof content === 'string') found.add(content);
    }
  }
  return found;
}

function numbersIn(vocab: JsonObject): readonly number[] {
  let most = -1;
  for (const id of Object.values(vocab)) if (typeof id === 'number' && id > most) most = id;
  return [most];
}
