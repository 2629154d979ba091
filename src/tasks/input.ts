import type { RowInput } from '../models/run/row-input.js';

/** One text, or two that the model reads together. */
export type TextInput = string | { readonly text: string; readonly text_pair: string };

/** The same list where all are plain texts: the usual case costs nothing. */
export function rowsOf(inputs: readonly TextInput[]): readonly RowInput[] {
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

/** An input as it is recorded. */
export function writtenOf(input: TextInput): string {
  return typeof input === 'string' ? input : `${input.text}\n${input.text_pair}`;
}
