/**
 * Tokenizers of folders that were saved before `tokenizer.json` was usual, made of their vocabulary as transformers'
 * converters make them (`convert_slow_tokenizer.py`: BertConverter, RobertaConverter, GPT2Converter). Pure.
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

/** A `tokenizer.json` of BERT's kind. @param text the vocabulary, one token a line */
export function bertTokenizer(text: string, config: JsonObject, special: JsonObject): JsonObject {
  const lines = text.replace(/\n$/, '').split('\n');
  const vocab: Record<string, number> = Object.create(null);
  // A token that stands twice has the later number, as in Python's dictionary.
  for (const [id, line] of lines.entries()) vocab[line.replace(/\r$/, '')] = id;
  const name = (key: string, usual: string) => specialToken(key, usual, config, special);
  const [unknown, sep, pad] = [
    name('unk_token', '[UNK]'),
    name('sep_token', '[SEP]'),
    name('pad_token', '[PAD]'),
  ];
  const [cls, mask] = [name('cls_token', '[CLS]'), name('mask_token', '[MASK]')];
  const { do_lower_case = true, strip_accents = null, tokenize_chinese_chars = true } = config;
  return {
    version: '1.0',
    added_tokens: added([pad, unknown, cls, sep, mask], vocab),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: tokenize_chinese_chars !== false,
      strip_accents: typeof strip_accents === 'boolean' ? strip_accents : null,
      lowercase: do_lower_case !== false,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: template(cls, sep, vocab),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** A `tokenizer.json` of RoBERTa's or GPT-2's kind, from `vocab.json` and `merges.txt`. */
export function byteLevelTokenizer(
  vocab: JsonObject,
  mergesText: string,
  config: JsonObject,
  special: JsonObject,
): JsonObject {
  const numbered = Object.fromEntries(
    Object.entries(vocab).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  );
  const merges = mergesText
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line, index) => line !== '' && !(index === 0 && line.startsWith('#version')))
    .map((line) => line.split(' '));
  const isRoberta = numbered['<s>'] !== undefined && numbered['</s>'] !== undefined;
  const name = (key: string, usual: string) => specialToken(key, usual, config, special);
  const names = isRoberta
    ? [
        ...[name('bos_token', '<s>'), name('pad_token', '<pad>'), name('eos_token', '</s>')],
        ...[name('unk_token', '<unk>'), name('mask_token', '<mask>')],
      ]
    : [name('eos_token', '<|endoftext|>')];
  const [cls, sep] = [name('cls_token', '<s>'), name('sep_token', '</s>')];
  return {
    version: '1.0',
    added_tokens: added(names, numbered).map((token) =>
      // The mask takes the blank before it along (RobertaTokenizer).
      token.content === '<mask>' ? { ...token, lstrip: true } : token,
    ),
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: config.add_prefix_space === true,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: isRoberta
      ? {
          type: 'RobertaProcessing',
          ...{ sep: [sep, numbered[sep]], cls: [cls, numbered[cls]] },
          ...{ trim_offsets: true, add_prefix_space: config.add_prefix_space === true },
        }
      : { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      ...{ dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false },
      ...{ continuing_subword_prefix: '', end_of_word_suffix: '' },
      ...{ vocab: numbered, merges },
    },
  };
}

function specialToken(key: string, usual: string, config: JsonObject, special: JsonObject): string {
  for (const value of [special[key], config[key]]) {
    if (typeof value === 'string') return value;
    if (isObject(value) && typeof value.content === 'string') return value.content;
  }
  return usual;
}

function added(names: readonly string[], vocab: Readonly<Record<string, number>>) {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return [...new Set(names)]
    .flatMap((content) => {
      const id = vocab[content];
      return id === undefined ? [] : [{ id, content, ...plain, special: true }];
    })
    .sort((a, b) => a.id - b.id);
}

function template(cls: string, sep: string, vocab: Readonly<Record<string, number>>): JsonObject {
  for (const token of [cls, sep]) {
    if (vocab[token] === undefined) throw new Error(`its vocabulary has no ${token}`);
  }
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const known = (id: string) => [id, { id, ids: [vocab[id]], tokens: [id] }] as const;
  return {
    type: 'TemplateProcessing',
    single: [special(cls, 0), sequence('A', 0), special(sep, 0)],
    pair: [
      ...[special(cls, 0), sequence('A', 0), special(sep, 0)],
      ...[sequence('B', 1), special(sep, 1)],
    ],
    special_tokens: Object.fromEntries([known(cls), known(sep)]),
  };
}
