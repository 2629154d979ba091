/** What a worker is given for one row. */
import type { Side } from '../intake/reading/room.js';

/** What is cut where two texts do not fit: the longer one token by token, or the first one alone. */
export type PairCut = 'longest_first' | 'only_first';

/** Two texts that a model reads together. */
export interface PairInput {
  readonly text: string;
  readonly pair: string;
  readonly cut: PairCut;
  /** Where each text that is too long is cut; undefined: where the tokenizer's files say. */
  readonly side?: Side;
}

/** A text that the caller wants cut at one side, whatever the tokenizer's files say. */
export interface SidedText {
  readonly text: string;
  readonly side: Side;
}

/** Token ids as a caller sends them, special tokens included; types are 0 where they are left out. */
export interface IdsInput {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

export type RowInput = string | SidedText | PairInput | IdsInput;

/** Kinds of rows whose results differ although their texts are the same: a part of the cache's keys. */
type SidedKind = 'text' | 'pair' | 'pair-first';
export type RowKind = '' | Exclude<SidedKind, 'text'> | `${SidedKind} ${Side}` | 'ids';

export function isIds(input: RowInput): input is IdsInput {
  return typeof input !== 'string' && 'ids' in input;
}

export function isPair(input: RowInput): input is PairInput {
  return typeof input !== 'string' && 'pair' in input;
}

export function kindOf(input: RowInput): RowKind {
  if (typeof input === 'string') return '';
  if (isIds(input)) return 'ids';
  if (!isPair(input)) return `text ${input.side}`;
  const kind = input.cut === 'only_first' ? 'pair-first' : 'pair';
  return input.side === undefined ? kind : `${kind} ${input.side}`;
}

/** A text that no other row of the same kind has. */
export function keyTextOf(input: RowInput): string {
  if (typeof input === 'string') return input;
  if (isIds(input)) return `${input.ids.join()};${input.types?.join() ?? ''}`;
  // The length tells where the first text ends.
  return isPair(input) ? `${input.text.length}:${input.text}${input.pair}` : input.text;
}

/** A token takes about as many characters of a text. */
const CHARACTERS_PER_ID = 4;

/** Characters of a row: what its cost is estimated from. */
export function charactersOf(input: RowInput): number {
  if (typeof input === 'string') return input.length;
  if (isIds(input)) return input.ids.length * CHARACTERS_PER_ID;
  return input.text.length + (isPair(input) ? input.pair.length : 0);
}
