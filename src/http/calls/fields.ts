import { PlimsollError } from '../../errors.js';

/**
 * Readers of what a body holds where a protocol takes several shapes in one field: a schema would say of such a
 * field only that it fits none of them. Each throws PlimsollError INVALID_INPUT, and names the field.
 */

/** A text that is not empty. */
export function textIn(value: unknown, at: string): string {
  if (typeof value !== 'string') throw odd(`${at} is ${kindOf(value)}, not a text`);
  if (!/\S/.test(value)) throw odd(`${at} is empty`);
  return value;
}

/** A text, or nothing but blanks. */
export function anyTextIn(value: unknown, at: string): string {
  if (typeof value !== 'string') throw odd(`${at} is ${kindOf(value)}, not a text`);
  return value;
}

/**
 * Two texts that a model reads together. One of them may be empty: it would be wrong to refuse a hundred pairs for one
 * that lacks a text.
 *
 * @param at names of the two fields.
 */
export function pairIn(
  first: unknown,
  second: unknown,
  at: readonly [string, string],
): { readonly text: string; readonly text_pair: string } {
  const [text, text_pair] = [anyTextIn(first, at[0]), anyTextIn(second, at[1])];
  if (!/\S/.test(text) && !/\S/.test(text_pair)) throw odd(`${at[0]} and ${at[1]} are both empty`);
  return { text, text_pair };
}

/** A list that is neither empty nor too long. */
export function listIn(value: unknown, at: string, most: number): readonly unknown[] {
  if (!Array.isArray(value)) throw odd(`${at} is ${kindOf(value)}, not a list`);
  if (value.length === 0) throw odd(`${at} is an empty list`);
  if (value.length > most) {
    throw odd(`${at} has ${value.length} items; at most ${most} go into one request`);
  }
  return value;
}

/** Texts that are not empty. */
export function textsIn(value: unknown, at: string, most: number): readonly string[] {
  return listIn(value, at, most).map((each, index) => textIn(each, `${at}[${index}]`));
}

/** Texts, of which some may be empty. */
export function anyTextsIn(value: unknown, at: string, most: number): readonly string[] {
  return listIn(value, at, most).map((each, index) => anyTextIn(each, `${at}[${index}]`));
}

/** One text, or a list of texts. */
export function oneOrMore(value: unknown, at: string, most: number): readonly string[] {
  return typeof value === 'string' ? [textIn(value, at)] : textsIn(value, at, most);
}

/** An object's fields. */
export function fieldsIn(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw odd(`${at} is ${kindOf(value)}, not an object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

export function odd(message: string): PlimsollError {
  return new PlimsollError('INVALID_INPUT', message);
}

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
