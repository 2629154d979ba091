import type { Side } from '../models/intake/reading/room.js';
import type { RowInput } from '../models/run/row-input.js';

/** One text, or two that the model reads together. */
export type TextInput = string | { readonly text: string; readonly text_pair: string };

/**
 * The same list where all are plain texts: the usual case costs nothing.
 *
 * @param side where texts that are too long are cut; undefined: where the model's files say
 */
export function rowsOf(inputs: readonly TextInput[], side?: Side): readonly RowInput[] {
  if (side !== undefined) return inputs.map((input) => sidedRowOf(input, side));
  for (const input of inputs) {
    if (typeof input !== 'string') return inputs.map(rowOf);
  }
  // Every one was seen to be a text.
  return inputs as readonly string[];
}

function rowOf(input: TextInput): RowInput {
  if (typeof input === 'string') return input;
  return { text: input.text, pair: input.text_pair, cut: 'longest_first' };
}

function sidedRowOf(input: TextInput, side: Side): RowInput {
  if (typeof input === 'string') return { text: input, side };
  return { text: input.text, pair: input.text_pair, cut: 'longest_first', side };
}

/**
 * The side that a caller wants texts cut at, where it is not the model's own anyway: rows that say nothing share the
 * cached results of all callers that say nothing.
 */
export function otherSide(
  wanted: Side | undefined,
  { truncationSide }: { readonly truncationSide: Side | undefined },
): Side | undefined {
  return wanted === truncationSide ? undefined : wanted;
}

/**
 * An input as transformers' pipelines read it: a second text without a character is none, so the model sees the first one
 * alone (`PreTrainedTokenizerFast._encode_plus`, 4.57). One of blanks is a text.
 */
export function asPipelinesRead(input: TextInput): TextInput {
  return typeof input !== 'string' && input.text_pair === '' ? input.text : input;
}

/** An input as it is recorded. */
export function writtenOf(input: TextInput): string {
  return typeof input === 'string' ? input : `${input.text}\n${input.text_pair}`;
}
