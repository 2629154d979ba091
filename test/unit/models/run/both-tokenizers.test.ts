/** The lean tokenizer and the native one, and which of them a text gets. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compareTokenizers } from '../../../../src/models/compile/compare-tokenizers.js';
import { parseJson } from '../../../../src/models/intake/folder/json.js';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { hasRunOver } from '../../../../src/models/run/tokens/cuts.js';
import { frameOf } from '../../../../src/models/run/tokens/frame.js';
import { usualFiles } from '../../../../src/models/run/tokens/open-tokenizer.js';
import { effectiveTokenizer } from '../../../../src/models/run/tokens/tokenizer-json.js';
import { temporaryFolder } from '../folders.js';

const FOLDERS = fileURLToPath(new URL('../../../fixtures/models', import.meta.url));
const NAMES = readdirSync(FOLDERS).filter((name) => name.startsWith('tok-'));
const folderOf = (name: string) => path.join(FOLDERS, name);

interface Rows {
  readonly rows: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

const rowsOf = (name: string) =>
  (JSON.parse(readFileSync(path.join(folderOf(name), 'expected.json'), 'utf8')) as Rows).rows;

/** Tokenizers on which the lean one goes wrong in kind. */
const NATIVE = [
  'tok-final-sigma',
  'tok-nfkd-hangul',
  'tok-precompiled-charsmap',
  'tok-whitespace-unicode',
];

describe.each(NAMES)('%s', (name) => {
  test('gives the ids of the native one, by whichever was chosen', async () => {
    const files = usualFiles(folderOf(name));
    const { choice, why } = await compareTokenizers(files);
    expect(choice.kind, why).toBe(NATIVE.includes(name) ? 'native' : 'javascript');
    // Where a text is longer the file has the first 64 tokens of the whole.
    const encoder = await TextEncoder.open(files, 8192, choice);
    const encodings = await encoder.encodeAll(rowsOf(name).map(({ text }) => text));
    const rows = rowsOf(name);
    expect(
      encodings.map(({ ids }, at) => ids.slice(0, Math.max(64, rows[at]?.ids.length ?? 0))),
    ).toEqual(rows.map(({ ids }) => ids));
  }, 60_000);

  test('no text stalls it, and what it makes of one depends on no other', async () => {
    const files = usualFiles(folderOf(name));
    const { choice } = await compareTokenizers(files);
    const encoder = await TextEncoder.open(files, 64, choice);
    const run = rowsOf(name)[0]?.text ?? '';
    const [before] = await encoder.encodeAll([run]);
    const hard = [
      '\u00ad'.repeat(300_000),
      'a'.repeat(100_000),
      '\u0000'.repeat(100_000),
      `a${'\u0316\u0301'.repeat(50_000)}`,
      '\ud83d'.repeat(9000),
    ];
    for (const { ids } of await encoder.encodeAll(hard)) expect(ids.length).toBeLessThanOrEqual(64);
    await encoder.encodeAll(
      Array.from({ length: 60 }, (_, n) => `many words of ordinary length ${n} `.repeat(60)),
    );
    expect((await encoder.encodeAll([run]))[0]).toEqual(before);
  }, 60_000);
});

test('a vocabulary alone makes the tokenizer that its tokenizer.json is', async () => {
  const control = usualFiles(folderOf('control'));
  const alone = {
    ...control,
    json: undefined,
    vocabulary: path.join(folderOf('control'), 'vocab.txt'),
  };
  const [whole, made] = [await TextEncoder.open(control, 64), await TextEncoder.open(alone, 64)];
  const texts = ['hello', 'I HATE this terrible movie!', 'Ünï [MASK] café', '', 'x'.repeat(200)];
  expect(await made.encodeAll(texts)).toEqual(await whole.encodeAll(texts));
  const native = {
    ...usualFiles(folderOf('control')),
    json: undefined,
    vocabulary: alone.vocabulary,
  };
  expect(await (await TextEncoder.open(native, 64, { kind: 'native' })).encodeAll(texts)).toEqual(
    await whole.encodeAll(texts),
  );
});

describe('a text that is too long', () => {
  const words = Array.from({ length: 300 }, (_, n) => (n % 2 === 0 ? 'good' : 'film')).join(' ');

  test.each(['javascript', 'native'] as const)(
    'is cut on the side that is asked for (%s)',
    async (kind) => {
      const files = usualFiles(folderOf('control'));
      const right = await TextEncoder.open(files, 16, { kind, truncationSide: 'right' });
      const left = await TextEncoder.open(files, 16, { kind, truncationSide: 'left' });
      const [whole] = await (await TextEncoder.open(files, 1000, { kind })).encodeAll([
        `hello ${words} spam`,
      ]);
      const all = whole?.ids ?? [];
      const [first] = await right.encodeAll([`hello ${words} spam`]);
      const [last] = await left.encodeAll([`hello ${words} spam`]);
      expect(first).toEqual({ ids: [...all.slice(0, 15), all.at(-1)], truncated: true });
      expect(last).toEqual({ ids: [all[0], ...all.slice(-15)], truncated: true });
      const text = `hello ${words} spam`;
      const sided = [{ text, side: 'left' } as const, text, { text, side: 'right' } as const];
      // What a row asks for goes before the model's own side, and is forgotten with the row.
      expect(await right.encodeAll(sided)).toEqual([last, first, first]);
      expect(await left.encodeAll(sided)).toEqual([last, last, first]);
    },
  );
});

describe('the frame', () => {
  const special = { '[CLS]': { ids: [2] }, '[SEP]': { ids: [3] } };
  const piece = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });

  test('has the types of its template', () => {
    const single = [{ Sequence: { id: 'A', type_id: 1 } }, piece('[SEP]', 0), piece('[CLS]', 2)];
    expect(frameOf({ type: 'TemplateProcessing', single, special_tokens: special })).toEqual({
      ...{ before: [], beforeTypes: [], textType: 1, after: [3, 2], afterTypes: [0, 2] },
    });
  });

  test.each([
    [null, [], []],
    [{ type: 'ByteLevel' }, [], []],
    [{ type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] }, [2], [3]],
    [
      {
        type: 'Sequence',
        processors: [
          { type: 'ByteLevel' },
          { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] },
        ],
      },
      [0],
      [2],
    ],
  ])('%j', (processor, before, after) => {
    expect(frameOf(processor)).toMatchObject({ before, after });
  });

  test('that is not known is an error', () => {
    expect(() => frameOf({ type: 'Odd' })).toThrow('Odd');
  });
});

describe('tokenizer.json as transformers loads it', () => {
  const file = {
    normalizer: {
      type: 'BertNormalizer',
      lowercase: false,
      strip_accents: null,
      handle_chinese_chars: true,
    },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    added_tokens: [{ id: 0, content: '[PAD]', special: true }],
    model: { vocab: { '[PAD]': 0, a: 1 } },
    truncation: { direction: 'Left' },
    padding: { direction: 'Left' },
  };

  test('without truncation and padding, but with the side that is cut', () => {
    const { json, truncationSide } = effectiveTokenizer(file, {});
    expect(json).toMatchObject({ truncation: null, padding: null });
    expect(truncationSide).toBe('left');
    expect(effectiveTokenizer(file, { truncation_side: 'right' }).truncationSide).toBe('right');
  });

  test('with the settings of BERT’s class', () => {
    const of = (config: Record<string, unknown>) =>
      effectiveTokenizer(file, config).json.normalizer;
    expect(of({})).toMatchObject({ lowercase: false });
    expect(of({ tokenizer_class: 'BertTokenizer' })).toMatchObject({ lowercase: true });
    expect(of({ tokenizer_class: 'BertTokenizer', do_lower_case: false })).toMatchObject({
      lowercase: false,
    });
    expect(of({ tokenizer_class: 'ElectraTokenizerFast', strip_accents: false })).toMatchObject({
      strip_accents: false,
    });
  });

  test('with tokens that only the config knows, and without special ones if it says so', () => {
    const added_tokens_decoder = {
      0: { content: '[PAD]' },
      2: { content: '<new>' },
      9: { content: '<far>' },
    };
    const { json } = effectiveTokenizer(file, { added_tokens_decoder });
    expect(json.added_tokens).toMatchObject([{ content: '[PAD]' }, { id: 2, content: '<new>' }]);
    expect(effectiveTokenizer(file, { split_special_tokens: true }).json.added_tokens).toEqual([]);
  });

  test('with the blank before the text', () => {
    expect(effectiveTokenizer(file, { add_prefix_space: true }).json.pre_tokenizer).toMatchObject({
      add_prefix_space: true,
    });
  });
});

test('runs without a blank are found', () => {
  expect(hasRunOver('ab cd', 2)).toBe(false);
  expect(hasRunOver('ab cde', 2)).toBe(true);
  expect(hasRunOver('abcdef', 6)).toBe(false);
  expect(hasRunOver(`${'a '.repeat(50)}${'b'.repeat(11)}`, 10)).toBe(true);
  expect(hasRunOver('a '.repeat(500), 10)).toBe(false);
});

test('special tokens in a text are tokens, unless the files say otherwise', async () => {
  const folder = temporaryFolder();
  const control = folderOf('control');
  const config = parseJson(readFileSync(path.join(control, 'tokenizer_config.json'), 'utf8'));
  writeFileSync(
    path.join(folder, 'tokenizer.json'),
    readFileSync(path.join(control, 'tokenizer.json')),
  );
  writeFileSync(
    path.join(folder, 'tokenizer_config.json'),
    JSON.stringify({ ...(config as object), split_special_tokens: true }),
  );
  for (const kind of ['javascript', 'native'] as const) {
    const [whole] = await (await TextEncoder.open(control, 64, { kind })).encodeAll(['a [SEP] b']);
    const [split] = await (await TextEncoder.open(folder, 64, { kind })).encodeAll(['a [SEP] b']);
    expect(whole?.ids).toHaveLength(5);
    expect(split?.ids.length).toBeGreaterThan(5);
  }
});
