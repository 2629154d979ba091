import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { temporaryFolder } from '../folders.js';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789.,!?'];
const WORDS = ['hello', 'world', 'spam', 'the', 'a', 'longword'];
const TOKENS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  ...LETTERS,
  ...WORDS,
  ...LETTERS.map((l) => `##${l}`),
];
const ID = Object.fromEntries(TOKENS.map((token, id) => [token, id]));
const [CLS, SEP, UNKNOWN] = [ID['[CLS]'], ID['[SEP]'], ID['[UNK]']];

/** A tokenizer.json as BERT models have it, with a vocabulary of letters and a few words. */
const WORD_PIECE = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content) => ({
    id: ID[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [CLS], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [SEP], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: ID,
  },
};

function open(maxTokens: number, json: unknown = WORD_PIECE): Promise<TextEncoder> {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
  return TextEncoder.open(folder, maxTokens);
}

/** `count` words of one token each. */
function words(count: number): string {
  return Array.from({ length: count }, () => 'hello').join(' ');
}

describe('encoding', () => {
  test('frames the text with the special tokens', async () => {
    const encoder = await open(16);
    expect(encoder.encode('Hello spam')).toEqual({
      ids: [CLS, ID.hello, ID.spam, SEP],
      truncated: false,
    });
    expect(encoder.encode('')).toEqual({ ids: [CLS, SEP], truncated: false });
    expect(encoder.encode('ab 中').ids).toEqual([CLS, ID.a, ID['##b'], UNKNOWN, SEP]);
  });

  test('cuts the end and keeps the special tokens', async () => {
    const { ids, truncated } = (await open(8)).encode(words(100));
    expect(ids).toEqual([CLS, ...Array.from({ length: 6 }, () => ID.hello), SEP]);
    expect(truncated).toBe(true);
  });

  test.each([
    [5, false],
    [6, false],
    [7, true],
  ])('%d tokens of text where 6 fit: cut is %s', async (count, truncated) => {
    const encoding = (await open(8)).encode(words(count));
    expect(encoding.truncated).toBe(truncated);
    expect(encoding.ids).toHaveLength(Math.min(count, 6) + 2);
  });

  test('space at the end takes no room', async () => {
    expect((await open(8)).encode(`${words(6)}${' '.repeat(10_000)}`).truncated).toBe(false);
  });

  test('a tokenizer without special tokens has all the room for text', async () => {
    const encoder = await open(8, { ...WORD_PIECE, post_processor: null });
    expect(encoder.encode(words(8))).toEqual({
      ids: Array.from({ length: 8 }, () => ID.hello),
      truncated: false,
    });
  });
});

describe('tokens with their places', () => {
  test('end where the model stops reading, or with the text', async () => {
    const encoder = await open(8);
    const text = words(20);
    const cut = await encoder.detailed(text);
    expect(cut.details.ids).toHaveLength(8);
    const { ids, tokens, offsets } = await encoder.detailedWhole(text);
    expect(ids).toEqual([CLS, ...Array.from({ length: 20 }, () => ID.hello), SEP]);
    expect(tokens.at(-1)).toBe('[SEP]');
    expect(offsets.slice(-2)).toEqual([
      [19 * 6, 19 * 6 + 5],
      [0, 0],
    ]);
    expect(offsets[0]).toEqual([0, 0]);
    const short = words(3);
    expect(await encoder.detailedWhole(short)).toEqual((await encoder.detailed(short)).details);
  });
});

describe('a long text is encoded as if it had been encoded whole and then cut', () => {
  const tokenizer = new Tokenizer(WORD_PIECE, {});

  function expectWhole(encoder: TextEncoder, maxTokens: number, text: string): void {
    const whole = tokenizer.encode(text, { add_special_tokens: false }).ids;
    const room = maxTokens - 2;
    const { ids, truncated } = encoder.encode(text);
    // Compared as text: the differ is slow on long lists that differ.
    expect(ids.join()).toBe([CLS, ...whole.slice(0, room), SEP].join());
    expect(truncated).toBe(whole.length > room);
  }

  const chunk = fc.oneof(
    fc.constantFrom(...WORDS, ' ', '😀', '👩‍👩‍👧', 'é', '中文', '\n', '...', '\ud83d'),
    fc.integer({ min: 1, max: 400 }).map((n) => ' '.repeat(n)),
    fc.integer({ min: 1, max: 400 }).map((n) => 'x'.repeat(n)),
    fc.integer({ min: 1, max: 200 }).map((n) => '😀'.repeat(n)),
    fc.integer({ min: 1, max: 100 }).map((n) => 'hello '.repeat(n)),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );

  test.each([8, 32, 80])('where %d tokens fit', async (maxTokens) => {
    const encoder = await open(maxTokens);
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 40 }), (chunks) => {
        expectWhole(encoder, maxTokens, chunks.join(''));
      }),
      { numRuns: 150 },
    );
  });

  // The first cut: 6.25 characters for each of 80 + 128 tokens; a word is cut wherever that ends.
  const FIRST_CUT = (80 + 128) * 6.25;
  test.each([1, 30, 63, 64, 65, 99, 100, 101])(
    'when the cut leaves %d characters of a word that is too long to be split',
    async (left) => {
      const maxTokens = 82;
      const before = words(70);
      const spaces = ' '.repeat(FIRST_CUT - left - before.length);
      expectWhole(
        await open(maxTokens),
        maxTokens,
        `${before}${spaces}${'x'.repeat(300)} ${words(30)}`,
      );
    },
  );
});

test('a megabyte of text costs about as much as the part of it that fits', async () => {
  const encoder = await open(128);
  const timeOf = (text: string): number => {
    const times = Array.from({ length: 5 }, () => {
      const begun = performance.now();
      encoder.encode(text);
      return performance.now() - begun;
    });
    return Math.min(...times);
  };
  const small = timeOf(words(400));
  const huge = timeOf(words(400_000));
  // 1000 times the text: whole it would take a thousand times as long.
  expect(huge).toBeLessThan(20 * small + 5);
});

describe('a broken tokenizer', () => {
  test.each([
    ['broken JSON', '{'],
    ['a list', '[]'],
    ['no model', '{}'],
    ['an unknown model', '{"model": {"type": "Abacus"}}'],
  ])('is refused: %s', async (_case, content) => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'tokenizer.json'), content);
    const opening = TextEncoder.open(folder, 16);
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(opening).rejects.toThrow('tokenizer.json cannot be used');
  });

  test('is refused: there is none', async () => {
    const opening = TextEncoder.open(temporaryFolder(), 16);
    await expect(opening).rejects.toThrow('tokenizer.json cannot be used: it is missing');
  });
});
