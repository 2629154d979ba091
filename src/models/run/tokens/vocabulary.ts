/**
 * Tokenizers of folders that were saved before `tokenizer.json` was usual, made of their vocabulary as transformers'
 * converters make them (`convert_slow_tokenizer.py`: BertConverter, FunnelConverter, MPNetConverter, RobertaConverter,
 * DebertaConverter, GPT2Converter). Pure.
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

/** What differs between the classes whose vocabulary is cut by WordPiece. */
interface WordPieceClass {
  readonly names: {
    readonly unknown: string;
    readonly sep: string;
    readonly pad: string;
    readonly cls: string;
    readonly mask: string;
  };
  /** Token type of the first special token. */
  readonly clsType: number;
  /** Tokens between two texts. */
  readonly separators: number;
  /** The mask takes the blank before it along. */
  readonly isMaskWide: boolean;
}

const PIECES: Readonly<Record<'bert' | 'funnel' | 'mpnet', WordPieceClass>> = {
  bert: {
    names: { unknown: '[UNK]', sep: '[SEP]', pad: '[PAD]', cls: '[CLS]', mask: '[MASK]' },
    ...{ clsType: 0, separators: 1, isMaskWide: false },
  },
  funnel: {
    names: { unknown: '<unk>', sep: '<sep>', pad: '<pad>', cls: '<cls>', mask: '<mask>' },
    ...{ clsType: 2, separators: 1, isMaskWide: false },
  },
  mpnet: {
    names: { unknown: '[UNK]', sep: '</s>', pad: '<pad>', cls: '<s>', mask: '<mask>' },
    ...{ clsType: 0, separators: 2, isMaskWide: true },
  },
};

/** A `tokenizer.json` of BERT's kind. @param text the vocabulary, one token a line */
export function wordPieceTokenizer(
  text: string,
  kind: keyof typeof PIECES,
  config: JsonObject,
  special: JsonObject,
): JsonObject {
  const { names, clsType, separators, isMaskWide } = PIECES[kind];
  const lines = text.replace(/\n$/, '').split('\n');
  const vocab: Record<string, number> = Object.create(null);
  // A token that stands twice has the later number, as in Python's dictionary.
  for (const [id, line] of lines.entries()) vocab[line.replace(/\r$/, '')] = id;
  const name = (key: string, usual: string) => specialToken(key, usual, config, special);
  const unknown = name('unk_token', names.unknown);
  const [sep, cls] = [name('sep_token', names.sep), name('cls_token', names.cls)];
  const [pad, mask] = [name('pad_token', names.pad), name('mask_token', names.mask)];
  const { do_lower_case = true, strip_accents = null, tokenize_chinese_chars = true } = config;
  return {
    version: '1.0',
    added_tokens: added([pad, unknown, cls, sep, mask], vocab, isMaskWide ? mask : undefined),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: tokenize_chinese_chars !== false,
      strip_accents: typeof strip_accents === 'boolean' ? strip_accents : null,
      lowercase: do_lower_case !== false,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: template({ cls, sep, clsType, separators }, vocab),
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

/**
 * A `tokenizer.json` of RoBERTa's, DeBERTa's or GPT-2's kind, from `vocab.json` and `merges.txt`.
 *
 * @param kind as the tokenizer's class says; where no file names one, the vocabulary's special tokens tell
 */
export function byteLevelTokenizer(
  vocab: JsonObject,
  mergesText: string,
  kind: 'roberta' | 'deberta' | 'gpt2' | undefined,
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
  const isLikeRoberta = numbered['<s>'] !== undefined && numbered['</s>'] !== undefined;
  const { names, mask, post_processor } = byteLevelFrame(
    kind ?? (isLikeRoberta ? 'roberta' : 'gpt2'),
    numbered,
    config,
    special,
  );
  return {
    version: '1.0',
    added_tokens: added(names, numbered, mask),
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: config.add_prefix_space === true,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      ...{ dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false },
      ...{ continuing_subword_prefix: '', end_of_word_suffix: '' },
      ...{ vocab: numbered, merges },
    },
  };
}

interface ByteLevelFrame {
  readonly names: readonly string[];
  readonly mask: string | undefined;
  readonly post_processor: JsonObject;
}

/** Special tokens of each class, and what it puts around a text. */
function byteLevelFrame(
  kind: 'roberta' | 'deberta' | 'gpt2',
  vocab: Readonly<Record<string, number>>,
  config: JsonObject,
  special: JsonObject,
): ByteLevelFrame {
  const name = (key: string, usual: string) => specialToken(key, usual, config, special);
  if (kind === 'gpt2') {
    return {
      names: ['bos_token', 'eos_token', 'unk_token', 'pad_token'].map((key) =>
        name(key, '<|endoftext|>'),
      ),
      mask: undefined,
      post_processor: {
        type: 'ByteLevel',
        ...{ add_prefix_space: true, trim_offsets: false, use_regex: true },
      },
    };
  }
  if (kind === 'deberta') {
    const [cls, sep, mask] = [
      name('cls_token', '[CLS]'),
      name('sep_token', '[SEP]'),
      name('mask_token', '[MASK]'),
    ];
    return {
      names: [cls, sep, mask, name('pad_token', '[PAD]'), name('unk_token', '[UNK]')],
      mask,
      post_processor: template({ cls, sep, clsType: 0, separators: 1 }, vocab),
    };
  }
  const [cls, sep, mask] = [
    name('cls_token', '<s>'),
    name('sep_token', '</s>'),
    name('mask_token', '<mask>'),
  ];
  expectIn(vocab, [cls, sep]);
  return {
    names: [
      ...[name('bos_token', '<s>'), name('eos_token', '</s>'), cls, sep],
      ...[name('pad_token', '<pad>'), name('unk_token', '<unk>'), mask],
    ],
    mask,
    post_processor: {
      type: 'RobertaProcessing',
      ...{ sep: [sep, vocab[sep]], cls: [cls, vocab[cls]] },
      ...{ trim_offsets: true, add_prefix_space: config.add_prefix_space === true },
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

/** @param wide the token that takes the blank before it along */
function added(
  names: readonly string[],
  vocab: Readonly<Record<string, number>>,
  wide: string | undefined,
) {
  const plain = { single_word: false, rstrip: false, normalized: false };
  return [...new Set(names)]
    .flatMap((content) => {
      const id = vocab[content];
      return id === undefined
        ? []
        : [{ id, content, ...plain, lstrip: content === wide, special: true }];
    })
    .sort((a, b) => a.id - b.id);
}

function expectIn(vocab: Readonly<Record<string, number>>, tokens: readonly string[]): void {
  for (const token of tokens) {
    if (vocab[token] === undefined) throw new Error(`its vocabulary has no ${token}`);
  }
}

function template(
  frame: {
    readonly cls: string;
    readonly sep: string;
    readonly clsType: number;
    readonly separators: number;
  },
  vocab: Readonly<Record<string, number>>,
): JsonObject {
  const { cls, sep, clsType, separators } = frame;
  expectIn(vocab, [cls, sep]);
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const known = (id: string) => [id, { id, ids: [vocab[id]], tokens: [id] }] as const;
  return {
    type: 'TemplateProcessing',
    single: [special(cls, clsType), sequence('A', 0), special(sep, 0)],
    pair: [
      ...[special(cls, clsType), sequence('A', 0)],
      ...Array.from({ length: separators }, () => special(sep, 0)),
      ...[sequence('B', 1), special(sep, 1)],
    ],
    special_tokens: Object.fromEntries([known(cls), known(sep)]),
  };
}
