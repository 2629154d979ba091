/** Folders without a tokenizer.json: what their class makes of the vocabulary, or why nothing is made of it. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { tokenizerProblem } from '../../../../src/models/intake/reading/tokenizer-class.js';
import type { TokenizerFiles } from '../../../../src/models/intake/tokenizer-files.js';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { effectiveTokenizer } from '../../../../src/models/run/tokens/tokenizer-json.js';
import { type Files, temporaryFolder, write } from '../folders.js';

const NAMES = {
  ...{ json: 'tokenizer.json', config: 'tokenizer_config.json', modelConfig: 'config.json' },
  ...{ specialTokens: 'special_tokens_map.json', vocabulary: 'vocab.txt', merges: 'merges.txt' },
  ...{ vocabularyJson: 'vocab.json', addedTokens: 'added_tokens.json' },
} as const;

/** Files of a tokenizer in a folder of their own, under their usual names. */
function filesOf(files: Files): TokenizerFiles {
  const folder = temporaryFolder();
  write(folder, files);
  const at = (name: string) => (name in files ? path.join(folder, name) : undefined);
  const { json, config, modelConfig, specialTokens, vocabulary } = NAMES;
  return {
    ...{ json: at(json), config: at(config), modelConfig: at(modelConfig), all: [] },
    ...{ specialTokens: at(specialTokens), vocabulary: at(vocabulary), merges: at(NAMES.merges) },
    ...{ vocabularyJson: at(NAMES.vocabularyJson), addedTokens: at(NAMES.addedTokens) },
  };
}

const KINDS = ['javascript', 'native'] as const;

async function idsOf(files: Files, text: string): Promise<readonly number[]> {
  const where = filesOf(files);
  const all: (readonly number[])[] = [];
  for (const kind of KINDS) {
    const encoder = await TextEncoder.open(where, 64, { kind });
    for (const { ids } of await encoder.encodeAll([text])) all.push(ids);
  }
  expect(all[0]).toEqual(all[1]);
  return all[0] ?? [];
}

const BERT = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'good', 'film', '##s', 'a'].join('\n');
const MPNET = ['<s>', '<pad>', '</s>', '[UNK]', '<mask>', 'good', 'film'].join('\n');
const FUNNEL = ['<pad>', '<unk>', '<cls>', '<sep>', '<mask>', 'good', 'film'].join('\n');
const DEBERTA = { '[PAD]': 0, '[CLS]': 1, '[SEP]': 2, '[UNK]': 3, a: 4, b: 5, ab: 6, '[MASK]': 7 };

describe('the class decides what a vocabulary becomes', () => {
  test('MPNet: its own special tokens, and two separators between texts', async () => {
    const files = { 'vocab.txt': MPNET, 'config.json': { model_type: 'mpnet' } };
    expect(await idsOf(files, 'good film')).toEqual([0, 5, 6, 2]);
    const encoder = await TextEncoder.open(filesOf(files), 64);
    const pair = { text: 'good', pair: 'film', cut: 'longest_first' } as const;
    const [own] = await encoder.encodeAll([pair]);
    expect(own?.ids).toEqual([0, 5, 2, 2, 6, 2]);
    // The mask takes the blank before it along: both tokenizers agree on that.
    expect(await idsOf(files, 'good <mask> film')).toEqual([0, 5, 4, 6, 2]);
  });

  test('Funnel: the first token has a type of its own', async () => {
    const files = filesOf({
      'vocab.txt': FUNNEL,
      'tokenizer_config.json': { tokenizer_class: 'FunnelTokenizer' },
    });
    const [own] = await (await TextEncoder.open(files, 64)).encodeAll(['good']);
    expect(own).toMatchObject({ ids: [2, 5, 3], types: [2, 0, 0] });
  });

  test('DeBERTa: byte-level, framed as BERT is', async () => {
    const files = {
      'vocab.json': DEBERTA,
      'merges.txt': '#version: 0.2\na b\n',
      'config.json': { model_type: 'deberta' },
    };
    expect(await idsOf(files, 'ab')).toEqual([1, 6, 2]);
  });

  test('RoBERTa whose vocabulary lacks its special tokens is refused', async () => {
    const files = filesOf({
      'vocab.json': { a: 0 },
      'merges.txt': '',
      'config.json': { model_type: 'roberta' },
    });
    await expect(TextEncoder.open(files, 64)).rejects.toThrow(/vocabulary has no <s>/);
  });
});

describe('a class that is not made of a vocabulary is refused with the remedy', () => {
  const type = (model_type: string) => [{}, { model_type }] as const;
  const named = (tokenizer_class: string) => [{ tokenizer_class }, {}] as const;
  test.each([
    [named('BertJapaneseTokenizer'), 'vocab.txt', /MeCab.*take a model/],
    [type('roformer'), 'vocab.txt', /jieba/],
    [[{}, { tokenizer_class: 'PhobertTokenizer' }], 'vocab.txt', /Phobert.*in Python alone/],
    [named('BertweetTokenizer'), 'vocab.txt', /Bertweet.*in Python alone/],
    [type('flaubert'), 'vocab.json', /Flaubert.*in Python alone/],
    [named('XLMTokenizer'), 'vocab.json', /XLM.*in Python alone/],
    [type('esm'), 'vocab.txt', /Esm/],
    [type('luke'), 'vocab.json', /Luke.*save_pretrained/],
    [named('PreTrainedTokenizerFast'), 'vocab.txt', /save_pretrained/],
    [
      type('roberta'),
      'vocab.txt',
      /Roberta, which is not made of vocab\.txt here.*save_pretrained/,
    ],
    [type('bert'), 'vocab.json', /not made of vocab\.json here/],
    [[{ add_bos_token: true }, { model_type: 'opt' }], 'vocab.json', /GPT2.*save_pretrained/],
  ] as const)('%j of %s', ([tokenizer, model], vocabulary, says) => {
    expect(tokenizerProblem(tokenizer, model, vocabulary)).toMatch(says);
  });

  test.each([
    [named('BertTokenizer'), 'vocab.txt'],
    [named('ElectraTokenizerFast'), 'vocab.txt'],
    [type('distilbert'), 'vocab.txt'],
    [type('longformer'), 'vocab.json'],
    [type('gpt2'), 'vocab.json'],
    [[{}, {}], 'vocab.txt'],
    [type('esm'), undefined],
    [named('XLMTokenizer'), undefined],
    [named('BertJapaneseTokenizer'), undefined],
  ] as const)('%j of %s is taken', ([tokenizer, model], vocabulary) => {
    expect(tokenizerProblem(tokenizer, model, vocabulary)).toBeUndefined();
  });

  test('words that another program cuts are refused with a tokenizer.json too', () => {
    expect(tokenizerProblem({}, { model_type: 'roformer' }, undefined)).toMatch(/jieba/);
    const mecab = { tokenizer_class: 'BertJapaneseTokenizer', word_tokenizer_type: 'mecab' };
    expect(tokenizerProblem(mecab, {}, undefined)).toMatch(/MeCab/);
  });

  test('and so does the encoder itself', async () => {
    const files = filesOf({ 'vocab.txt': BERT, 'config.json': { model_type: 'roformer' } });
    await expect(TextEncoder.open(files, 64)).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
  });
});

describe('tokens that were added to a vocabulary', () => {
  const base = { 'vocab.txt': BERT, 'config.json': { model_type: 'bert' } };

  test('added_tokens.json', async () => {
    const files = { ...base, 'added_tokens.json': { '[URL]': 9, newword: 10 } };
    expect(await idsOf(files, 'good [URL] newword')).toEqual([2, 5, 9, 10, 3]);
  });

  test('added_tokens_decoder', async () => {
    const added_tokens_decoder = { 9: { content: '[URL]', special: true } };
    const files = { ...base, 'tokenizer_config.json': { added_tokens_decoder } };
    expect(await idsOf(files, 'good[URL] film')).toEqual([2, 5, 9, 6, 3]);
  });

  test('additional special tokens, in the vocabulary and behind it', async () => {
    const files = {
      ...base,
      'special_tokens_map.json': { additional_special_tokens: ['film', { content: '[NEW]' }] },
    };
    expect(await idsOf(files, 'films [NEW]')).toEqual([2, 6, 1, 9, 3]);
  });
});

test('the settings of BERT’s class hold where config.json alone tells it', async () => {
  const normalizer = { type: 'BertNormalizer', lowercase: false, strip_accents: null };
  const of = (model: string | undefined) =>
    effectiveTokenizer({ normalizer }, {}, model).json.normalizer;
  expect(of('Bert')).toMatchObject({ lowercase: true });
  expect(of(undefined)).toMatchObject({ lowercase: false });
  const model = { type: 'WordPiece', unk_token: '[UNK]', vocab: { '[UNK]': 0, good: 1, Good: 2 } };
  const json = {
    ...{ version: '1.0', added_tokens: [], truncation: null, padding: null },
    normalizer: { ...normalizer, clean_text: true, handle_chinese_chars: true },
    ...{ pre_tokenizer: { type: 'BertPreTokenizer' }, post_processor: null, decoder: null },
    model: { ...model, continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
  };
  expect(await idsOf({ 'tokenizer.json': json }, 'Good')).toEqual([2]);
  const told = { 'tokenizer.json': json, 'config.json': { model_type: 'bert' } };
  expect(await idsOf(told, 'Good')).toEqual([1]);
});
