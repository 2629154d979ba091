import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Side } from '../../../../src/models/intake/reading/room.js';
import { TokenEncoder } from '../../../../src/models/run/token-encoder.js';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { chunksOf, tokensOfChunks } from '../../../../src/models/run/tokens/chunks.js';
import { wordFactsOf } from '../../../../src/models/run/tokens/word-facts.js';

function fixture(name: string): string {
  return fileURLToPath(new URL(`../../../fixtures/reference/${name}`, import.meta.url));
}

async function open(name: string, maxTokens = 64, truncationSide?: Side): Promise<TokenEncoder> {
  const options = { kind: 'native', truncationSide } as const;
  return TokenEncoder.open(await TextEncoder.open(fixture(name), maxTokens, options));
}

describe('chunks', () => {
  test('cover every token, share the stride, and are no longer than they may be', () => {
    const sizes = fc.record({
      tokens: fc.nat(200),
      most: fc.integer({ min: 1, max: 40 }),
      stride: fc.nat(39),
      side: fc.constantFrom('left' as const, 'right' as const),
    });
    fc.assert(
      fc.property(sizes, ({ tokens, most, stride, side }) => {
        fc.pre(stride < most);
        const chunks = chunksOf(tokens, most, stride, side);
        const inOrder = side === 'left' ? [...chunks].reverse() : chunks;
        expect(inOrder[0]?.[0]).toBe(0);
        expect(inOrder.at(-1)?.[1]).toBe(tokens);
        for (const [at, [begin, end]] of inOrder.entries()) {
          expect(end - begin).toBeLessThanOrEqual(most);
          const next = inOrder[at + 1];
          if (next !== undefined) expect(end - next[0]).toBe(stride);
        }
        expect(tokens).toBeLessThanOrEqual(tokensOfChunks(chunks.length, most, stride));
      }),
    );
  });

  test('of a text that is cut on the left are counted from its end', () => {
    expect(chunksOf(10, 4, 1, 'left')).toEqual([
      [6, 10],
      [3, 7],
      [0, 4],
    ]);
  });
});

describe('long texts', () => {
  const words = 'Mara Quill met Tobias Renn in Lisbon last May. ';

  test.each(['ner-bert', 'ner-roberta', 'ner-xlm-roberta'])(
    '%s: a megabyte has the tokens of its beginning',
    async (name) => {
      const encoder = await open(name);
      const long = await encoder.encode(words.repeat(22_000));
      const short = await encoder.encode(words.repeat(40));
      expect(long.truncated).toBe(true);
      expect(long.chunks).toEqual(short.chunks);
    },
  );

  test('that are cut on the left keep their end', async () => {
    const encoder = await open('ner-bert', 64, 'left');
    const text = words.repeat(20);
    const { chunks } = await encoder.encode(text);
    expect(chunks[0]?.tokens.at(-1)?.end).toBe(text.trimEnd().length);
    expect(chunks[0]?.encoding.ids).toHaveLength(64);
  });

  test('have no more chunks than are allowed, and say so', async () => {
    const encoder = await open('ner-bert');
    const encoding = encoder.encode(words.repeat(22_000), 61);
    await expect(encoding).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('more than 512 chunks of 62 with a stride of 61'),
    });
    const { chunks, truncated } = await encoder.encode(words.repeat(100), 8);
    expect(chunks.length).toBeGreaterThan(50);
    expect(truncated).toBe(false);
  });

  test.each([62, 63, -1, 1.5])('a stride of %d is refused', async (stride) => {
    const encoding = (await open('ner-bert')).encode('a', stride);
    await expect(encoding).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('a whole number from 0 to 61'),
    });
  });
});

test('half characters count as one', async () => {
  const encoder = await open('ner-roberta');
  const { text, chunks } = await encoder.encode('a \ud83d b');
  expect(text).toBe('a \ufffd b');
  expect(chunks[0]?.tokens.at(-1)?.end).toBe(5);
});

describe('the unknown token', () => {
  const model = (facts: Readonly<Record<string, unknown>>) => ({ model: facts });
  const unigram = model({
    type: 'Unigram',
    unk_id: 1,
    vocab: [
      ['a', 0],
      ['<u>', 0],
    ],
  });

  test.each<readonly [string, Parameters<typeof wordFactsOf>, string | undefined]>([
    ['the config’s', [unigram, { unk_token: { content: '<x>' } }, {}], '<x>'],
    ['the map’s', [unigram, {}, { unk_token: '<y>' }], '<y>'],
    ['not the map’s', [unigram, { added_tokens_decoder: {} }, { unk_token: '<y>' }], '<u>'],
    ['the map’s before the config’s', [unigram, { unk_token: '<x>' }, { unk_token: '<y>' }], '<y>'],
    ['none, as the config says', [unigram, { unk_token: null }, {}], undefined],
    ['the model’s', [model({ type: 'WordPiece', unk_token: '[UNK]' }), {}, {}], '[UNK]'],
    ['none', [unigram, { tokenizer_class: 'PreTrainedTokenizerFast' }, {}], undefined],
    ['an added one', [{ added_tokens: [{ content: '<unk>' }] }, {}, {}], '<unk>'],
  ])('%s', (_case, files, unknown) => {
    expect(wordFactsOf(...files).unknown).toBe(unknown);
  });

  test('a prefix that is empty is none', () => {
    const facts = (prefix: unknown) =>
      wordFactsOf(model({ continuing_subword_prefix: prefix }), {}, {}).hasPrefix;
    expect(['##', '', null, undefined].map(facts)).toEqual([true, false, false, false]);
  });
});
