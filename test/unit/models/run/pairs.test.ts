import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { Tokenizer } from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { isObject } from '../../../../src/models/intake/folder/json.js';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { pairFrameOf } from '../../../../src/models/run/tokens/frame.js';
import { pairLengths } from '../../../../src/models/run/tokens/pair-lengths.js';

const reference = fileURLToPath(new URL('../../../fixtures/reference', import.meta.url));

interface Expected {
  readonly max_length: number;
  readonly pairs?: readonly {
    readonly text: string;
    readonly text_pair: string;
    readonly ids: readonly number[];
    /** Left out where the tokenizer makes none. */
    readonly token_type_ids?: readonly number[];
    readonly truncated: boolean;
  }[];
  readonly zero_shot?: readonly {
    readonly text: string;
    readonly candidate_labels: readonly string[];
    readonly hypothesis_template: string;
    readonly ids?: readonly (readonly number[])[];
  }[];
}

function expectedOf(model: string): Expected {
  return JSON.parse(readFileSync(path.join(reference, model, 'expected.json'), 'utf8'));
}

const models = (of: RegExp) => readdirSync(reference).filter((name) => of.test(name));

describe.each(['javascript', 'native'] as const)('two texts, by the %s tokenizer', (kind) => {
  test.each(models(/^(pair|rerank)-/))(
    '%s: ids and types as the reference has them',
    async (model) => {
      const { pairs = [], max_length } = expectedOf(model);
      const encoder = await TextEncoder.open(path.join(reference, model), max_length, { kind });
      expect(pairs.length).toBeGreaterThan(10);
      for (const { text, text_pair: pair, ...expected } of pairs) {
        const [encoding] = await encoder.encodeAll([{ text, pair, cut: 'longest_first' }]);
        expect(encoding?.ids).toEqual(expected.ids);
        expect(encoding?.types).toEqual(expected.token_type_ids ?? expected.ids.map(() => 0));
        expect(encoding?.truncated).toBe(expected.truncated);
      }
    },
  );

  test.each(models(/^zs-/))('%s: the text alone is cut', async (model) => {
    const { zero_shot: calls = [], max_length } = expectedOf(model);
    const encoder = await TextEncoder.open(path.join(reference, model), max_length, { kind });
    let compared = 0;
    for (const {
      text,
      candidate_labels: labels,
      hypothesis_template: template,
      ids = [],
    } of calls) {
      for (const [index, expected] of ids.entries()) {
        const pair = template.replace('{}', labels[index] ?? '');
        const [encoding] = await encoder.encodeAll([{ text, pair, cut: 'only_first' }]);
        expect(encoding?.ids).toEqual(expected);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(10);
  });
});

describe.each(['javascript', 'native'] as const)('cut at one side, by the %s tokenizer', (kind) => {
  // Room for an even number of tokens: which text gets an odd one differs between versions of the library.
  test.each([
    ['pair-bert', 25],
    ['pair-roberta', 24],
    ['pair-deberta-v2', 25],
  ])('%s: ids as the tokenizers library truncates two texts', async (model, maxTokens) => {
    const folder = path.join(reference, model);
    const encoder = await TextEncoder.open(folder, maxTokens, { kind });
    const library = Tokenizer.fromFile(path.join(folder, 'tokenizer.json'));
    library.disablePadding();
    const { pairs = [] } = expectedOf(model);
    const long = pairs.map(({ text }) => text).join(' ');
    const texts: [string, string][] = pairs.map((of) => [of.text, of.text_pair]);
    texts.push([long, 'short'], ['short', long], [long, long], [`${long} a`, long]);
    for (const side of ['left', 'right'] as const) {
      library.setTruncation(maxTokens, { direction: side });
      for (const [text, pair] of texts) {
        const [found, alone] = await encoder.encodeAll([
          { text, pair, cut: 'longest_first', side },
          { text, side },
        ]);
        expect(found?.ids).toEqual((await library.encode(text, pair)).getIds());
        expect(alone?.ids).toEqual((await library.encode(text)).getIds());
      }
    }
  });
});

test('a second text that leaves no room for the first is refused with the figures', async () => {
  const encoder = await TextEncoder.open(path.join(reference, 'zs-bert'), 64);
  const row = { text: 'a text', pair: 'word '.repeat(100), cut: 'only_first' } as const;
  await expect(encoder.encodeAll([row])).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/may not be cut: with 3 special tokens .* 64 /),
  });
});

test('ids are taken as they are, unless they are too many', async () => {
  const encoder = await TextEncoder.open(path.join(reference, 'zs-bert'), 4);
  expect(await encoder.encodeAll([{ ids: [2, 5, 3], types: [0, 0, 1] }])).toEqual([
    { ids: [2, 5, 3], types: [0, 0, 1], truncated: false },
  ]);
  const tooMany = encoder.encodeAll([{ ids: [2, 5, 5, 5, 3] }]);
  await expect(tooMany).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: /5 token ids.* 4/,
  });
});

describe('pairLengths', () => {
  const lengths = fc.nat(200);

  test('keeps all that fits, and never more than there is or fits', () => {
    fc.assert(
      fc.property(lengths, lengths, fc.nat(150), (first, second, room) => {
        const [a, b] = pairLengths(first, second, room, 'longest_first') ?? [-1, -1];
        expect(a).toBeLessThanOrEqual(first);
        expect(b).toBeLessThanOrEqual(second);
        expect(a + b).toBe(Math.min(first + second, room));
      }),
    );
  });

  test('the shorter text is cut only below half, and the odd token goes to the longer one', () => {
    expect(pairLengths(10, 100, 61, 'longest_first')).toEqual([10, 51]);
    expect(pairLengths(100, 10, 61, 'longest_first')).toEqual([51, 10]);
    expect(pairLengths(100, 90, 61, 'longest_first')).toEqual([31, 30]);
    expect(pairLengths(90, 100, 61, 'longest_first')).toEqual([30, 31]);
    expect(pairLengths(100, 100, 61, 'longest_first')).toEqual([30, 31]);
  });

  test('only_first leaves the second text whole, or says that it cannot', () => {
    expect(pairLengths(100, 20, 61, 'only_first')).toEqual([41, 20]);
    expect(pairLengths(5, 60, 61, 'only_first')).toEqual([1, 60]);
    expect(pairLengths(5, 61, 61, 'only_first')).toBeUndefined();
    expect(pairLengths(0, 61, 61, 'only_first')).toEqual([0, 61]);
  });
});

describe('pairFrameOf', () => {
  const cls = ['[CLS]', 1];
  const sep = ['[SEP]', 2];

  test('reads the older processors of BERT and RoBERTa', () => {
    const bert = pairFrameOf({ type: 'BertProcessing', cls, sep });
    expect(bert.pieces[1]).toEqual({ ids: [2], types: [0] });
    expect([bert.firstType, bert.secondType]).toEqual([0, 1]);
    const roberta = pairFrameOf({ type: 'RobertaProcessing', cls, sep });
    expect(roberta.pieces[1]).toEqual({ ids: [2, 2], types: [0, 0] });
    expect([roberta.firstType, roberta.secondType]).toEqual([0, 0]);
  });

  test.each([
    [
      'one text only',
      { type: 'TemplateProcessing', pair: [{ Sequence: { id: 'A', type_id: 0 } }] },
    ],
    [
      'the second text first',
      {
        type: 'TemplateProcessing',
        pair: [{ Sequence: { id: 'B', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      },
    ],
    ['of an unknown kind', { type: 'Other' }],
  ])('refuses a post-processor: %s', (_name, template) => {
    expect(isObject(template)).toBe(true);
    expect(() => pairFrameOf(template)).toThrow(/template|post_processor/);
  });
});
