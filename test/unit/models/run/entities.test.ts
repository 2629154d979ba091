import { describe, expect, test } from 'vitest';
import { CodePoints } from '../../../../src/models/run/code-points.js';
import {
  type Aggregation,
  type Chunk,
  checkTokenOptions,
  type Entity,
  entitiesOf,
  type WordRules,
} from '../../../../src/models/run/entities.js';

const LABELS = ['O', 'B-PER', 'I-PER', 'LOC', 'X-A-B'];

/** A token: its piece, its place, and the logits of some labels; unknown with a mark. */
type Token = readonly [string, number, number, Readonly<Record<string, number>>, 'unknown'?];

function chunk(tokens: readonly Token[]): Chunk {
  const rows = [{}, ...tokens.map(([, , , of]) => of), {}];
  return {
    before: 1,
    logits: Float32Array.from(rows.flatMap((of) => LABELS.map((name) => Object(of)[name] ?? 0))),
    tokens: tokens.map(([piece, start, end, , mark]) => {
      return { piece, start, end, isUnknown: mark === 'unknown' };
    }),
  };
}

const WORDPIECE: WordRules = {
  hasPrefix: true,
  join: (pieces) => pieces.join(' ').replaceAll(' ##', ''),
};
const BLANKS: WordRules = { hasPrefix: false, join: (pieces) => pieces.join('|') };

function find(
  text: string,
  chunks: readonly Chunk[],
  aggregation: Aggregation,
  rules = WORDPIECE,
  ignoreLabels: readonly string[] = ['O'],
): readonly Entity[] {
  return entitiesOf(text, chunks, LABELS, rules, { aggregation, ignoreLabels });
}

const plain = (entities: readonly Entity[]) =>
  entities.map(({ label, word, start, end }) => [label, word, start, end]);

describe('neighbours', () => {
  test('of one tag are one entity; B- begins another, and a label without a prefix goes on', () => {
    const tokens: readonly Token[] = [
      ['a', 0, 1, { 'B-PER': 5 }],
      ['b', 2, 3, { 'I-PER': 5 }],
      ['c', 4, 5, { 'B-PER': 5 }],
      ['d', 6, 7, { LOC: 5 }],
      ['e', 8, 9, { LOC: 5 }],
      ['f', 10, 11, { 'I-PER': 5 }],
    ];
    expect(plain(find('a b c d e f', [chunk(tokens)], 'simple'))).toEqual([
      ['PER', 'a b', 0, 3],
      ['PER', 'c', 4, 5],
      ['LOC', 'd e', 6, 9],
      ['PER', 'f', 10, 11],
    ]);
  });

  test('are called by what stands behind the first hyphen', () => {
    const tokens: readonly Token[] = [['a', 0, 1, { 'X-A-B': 5 }]];
    expect(plain(find('a', [chunk(tokens)], 'none'))).toEqual([['X-A-B', 'a', 0, 1]]);
    expect(plain(find('a', [chunk(tokens)], 'simple'))).toEqual([['A-B', 'a', 0, 1]]);
    expect(find('a', [chunk(tokens)], 'simple', WORDPIECE, ['A-B'])).toEqual([]);
    expect(find('a', [chunk(tokens)], 'none', WORDPIECE, ['A-B'])).toHaveLength(1);
  });
});

describe('words', () => {
  const tokens: readonly Token[] = [
    ['play', 0, 4, { LOC: 3 }],
    ['##ing', 4, 7, { 'B-PER': 4 }],
    ['##s', 7, 8, { LOC: 1.5 }],
  ];

  test.each<readonly [Aggregation, string]>([
    ['first', 'LOC'],
    ['max', 'PER'],
    ['average', 'LOC'],
  ])('%s', (aggregation, label) => {
    const found = find('playings', [chunk(tokens)], aggregation);
    expect(plain(found)).toEqual([[label, 'playings', 0, 8]]);
  });

  test('of equally sure tokens the first counts, as single precision sees them', () => {
    const sure: readonly Token[] = [
      ['a', 0, 1, { LOC: 40 }],
      ['##b', 1, 2, { 'B-PER': 45 }],
    ];
    expect(plain(find('ab', [chunk(sure)], 'max'))).toEqual([['LOC', 'ab', 0, 2]]);
  });

  test('an unknown token is a word of its own, as the text writes it', () => {
    const odd: readonly Token[] = [
      ['a', 0, 1, { LOC: 5 }],
      ['[UNK]', 1, 4, { LOC: 5 }, 'unknown'],
      ['##b', 4, 5, { 'B-PER': 5 }],
    ];
    expect(plain(find('a田中さb', [chunk(odd)], 'first'))).toEqual([['LOC', 'a 田中さb', 0, 5]]);
    expect(plain(find('a田中さb', [chunk(odd)], 'none'))[1]).toEqual(['LOC', '田中さ', 1, 4]);
  });

  test('without a prefix are divided by blanks, and by nothing else', () => {
    const pieces: readonly Token[] = [
      ['_a', 0, 1, { LOC: 5 }],
      ['-', 1, 2, { 'B-PER': 5 }],
      ['_b', 2, 4, { 'B-PER': 5 }],
      ['c', 4, 5, { LOC: 5 }],
    ];
    // The blank stands at the token's own beginning, or right before it.
    expect(plain(find('a- bc', [chunk(pieces)], 'first', BLANKS))).toEqual([
      ['LOC', '_a|-', 0, 2],
      ['PER', '_b|c', 2, 5],
    ]);
  });

  test('a first token that goes on with a word begins one', () => {
    const rest: readonly Token[] = [['##s', 7, 8, { LOC: 5 }]];
    expect(plain(find('playings', [chunk(rest)], 'first'))).toEqual([['LOC', '##s', 7, 8]]);
  });
});

describe('places', () => {
  test('count code points, also behind emoji and combining marks', () => {
    const text = '👍🏽 e\u0301 𝒜b';
    const tokens: readonly Token[] = [
      ['e', 3, 5, { LOC: 5 }, 'unknown'],
      ['x', 6, 8, { 'B-PER': 5 }, 'unknown'],
    ];
    expect(plain(find(text, [chunk(tokens)], 'none'))).toEqual([
      ['LOC', 'e\u0301', 3, 5],
      ['B-PER', '𝒜b', 6, 8],
    ]);
    const points = [...text];
    const counted = new CodePoints(text);
    for (let start = 0; start <= points.length + 1; start += 1) {
      for (let end = 0; end <= points.length + 1; end += 1) {
        expect(counted.slice(start, end)).toBe(points.slice(start, end).join(''));
      }
    }
    expect(CodePoints.count(text)).toBe(points.length);
  });

  test('a token has a number with none alone, special tokens counted', () => {
    const tokens: readonly Token[] = [['a', 0, 1, { LOC: 5 }]];
    expect(find('a', [chunk(tokens)], 'none')[0]?.index).toBe(1);
    expect(find('a', [chunk(tokens)], 'simple')[0]).not.toHaveProperty('index');
    expect(find('a', [chunk(tokens)], 'first')[0]).not.toHaveProperty('index');
  });
});

describe('chunks', () => {
  const at = (label: string, start: number, end: number, sure: number): Token =>
    ['x', start, end, { [label]: sure }, 'unknown'] as const;

  test('of overlapping entities the longest stays, of equally long ones the surest', () => {
    const text = 'abcdefghijkl';
    const two = [
      chunk([at('LOC', 0, 3, 5), at('B-PER', 6, 8, 3)]),
      chunk([at('B-PER', 1, 2, 9), at('LOC', 6, 8, 4), at('B-PER', 9, 10, 5)]),
    ];
    expect(plain(find(text, two, 'simple'))).toEqual([
      ['LOC', 'abc', 0, 3],
      ['LOC', 'gh', 6, 8],
      ['PER', 'j', 9, 10],
    ]);
  });

  test('of one chunk nothing is left out, and none gives none', () => {
    const one = [chunk([at('LOC', 0, 3, 5), at('B-PER', 1, 2, 9)])];
    expect(find('abc', one, 'simple')).toHaveLength(2);
    expect(find('', [chunk([]), chunk([])], 'max')).toEqual([]);
  });

  test('a stride has nothing to join with none', () => {
    const check = (aggregation: Aggregation) =>
      checkTokenOptions({ aggregation, ignoreLabels: [], stride: 4 });
    expect(() => check('none')).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    expect(() => check('simple')).not.toThrow();
  });
});
