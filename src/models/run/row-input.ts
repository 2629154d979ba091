/** What a worker is given for one row. */

/** What is cut where two texts do not fit: the longer one token by token, or the first one alone. */
export type PairCut = 'longest_first' | 'only_first';

/** Two texts that a model reads together. */
export interface PairInput {
  readonly text: string;
  readonly pair: string;
  readonly cut: PairCut;
}

/** Token ids as a caller sends them, special tokens included; types are 0 where they are left out. */
export interface IdsInput {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

export type RowInput = string | PairInput | IdsInput;

/** Kinds of rows whose results differ although their texts are the same: a part of the cache's keys. */
export type RowKind = '' | 'pair' | 'pair-first' | 'ids';

export function isIds(input: RowInput): input is IdsInput {
  return typeof input !== 'string' && 'ids' in input;
}

export function kindOf(input: RowInput): RowKind {
  if (typeof input === 'string') return '';
  if (isIds(input)) return 'ids';
  return input.cut === 'only_first' ? 'pair-first' : 'pair';
}

/** A text that no other row of the same kind has. */
export function keyTextOf(input: RowInput): string {
  if (typeof input === 'string') return input;
  // The length tells where the first text ends.
  if (!isIds(input)) return `${input.text.length}:${input.text}${input.pair}`;
  return `${input.ids.join()};${input.types?.join() ?? ''}`;
}

/** A token takes about as many characters of a text. */
const CHARACTERS_PER_ID = 4;

/** Characters of a row: what its cost is estimated from. */
export function charactersOf(input: RowInput): number {
  if (typeof input === 'string') return input.length;
  if (isIds(input)) return input.ids.length * CHARACTERS_PER_ID;
  return input.text.length + input.pair.length;
}
