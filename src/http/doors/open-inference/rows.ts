/** From the tensors of a request to the rows that a model is asked for. Pure. */
import { asPipelinesRead } from '../../../tasks/input.js';
import {
  type InputTensor,
  type IntegerTensor,
  invalid,
  type TextTensor,
} from './tensors/datatypes.js';
import type { InferRequest, KnownInputs } from './tensors/request.js';

/** Every input that a model may be sent. */
export const INPUTS = {
  text: ['BYTES'],
  text_pair: ['BYTES'],
  input_ids: ['INT64', 'INT32'],
  attention_mask: ['INT64', 'INT32'],
  token_type_ids: ['INT64', 'INT32'],
} as const satisfies KnownInputs;

/** Token ids as the caller sends them, special tokens included. */
export interface IdsRow {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

/** A text, or two that the model reads together. */
export type TextRow = string | { readonly text: string; readonly text_pair: string };

export type Rows =
  | { readonly kind: 'texts'; readonly rows: readonly TextRow[] }
  | { readonly kind: 'ids'; readonly rows: readonly IdsRow[] };

/**
 * The rows of a request:
 *
 * 1. `text`, with `text_pair` or without it; or `input_ids`, with `attention_mask` and `token_type_ids` or without
 *    them; not both.
 * 2. No more rows than one request may have, and at least one.
 * 3. All inputs have as many rows, and those of ids the same shape.
 *
 * @throws PlimsollError INVALID_REQUEST
 */
export function rowsOf({ inputs }: InferRequest, maxRows: number): Rows {
  const by = new Map(inputs.map((input) => [input.name, input]));
  const text = by.get('text');
  const ids = by.get('input_ids');
  if (text !== undefined && ids !== undefined) {
    throw invalid('both text and input_ids were sent: a model reads one or the other'); // 1
  }
  if (isTexts(text)) {
    refuseOthers(by, ['text', 'text_pair'], 'text');
    return { kind: 'texts', rows: textRows(text, by.get('text_pair'), maxRows) };
  }
  if (!isIntegers(ids)) {
    throw invalid('there is neither text (BYTES) nor input_ids (INT64) among the inputs');
  }
  refuseOthers(by, ['input_ids', 'attention_mask', 'token_type_ids'], 'input_ids');
  return { kind: 'ids', rows: idsRows(ids, by, maxRows) };
}

function refuseOthers(
  by: ReadonlyMap<string, InputTensor>,
  allowed: readonly string[],
  beside: string,
): void {
  for (const name of by.keys()) {
    if (!allowed.includes(name)) throw invalid(`${name} cannot be sent beside ${beside}`);
  }
}

function isTexts(input: InputTensor | undefined): input is TextTensor {
  return input?.datatype === 'BYTES';
}

function isIntegers(input: InputTensor | undefined): input is IntegerTensor {
  return input !== undefined && input.datatype !== 'BYTES';
}

function checkRows(rows: number, name: string, maxRows: number): void {
  if (rows === 0) throw invalid(`${name} has no rows`); // 2
  if (rows > maxRows) {
    throw invalid(`${name} has ${rows} rows; at most ${maxRows} go into one request`);
  }
}

function textRows(
  text: TextTensor,
  pair: InputTensor | undefined,
  maxRows: number,
): readonly TextRow[] {
  const texts = column(text);
  checkRows(texts.length, 'text', maxRows);
  if (!isTexts(pair)) {
    refuseBlank(texts, 'text');
    return texts;
  }
  const pairs = column(pair);
  if (pairs.length !== texts.length) {
    throw invalid(`text has ${texts.length} rows and text_pair has ${pairs.length}`); // 3
  }
  refuseBlank(
    texts.map((one, index) => one + (pairs[index] ?? '')),
    'text and text_pair',
  );
  return texts.map((one, index) => asPipelinesRead({ text: one, text_pair: pairs[index] ?? '' }));
}

/** One text a row: of the shape [rows] or [rows, 1]. */
function column({ name, shape, texts }: TextTensor): readonly string[] {
  if (shape.length > 2 || (shape.length === 2 && shape[1] !== 1)) {
    throw invalid(`${name} has the shape [${shape.join(', ')}]; it is [rows] or [rows, 1]`);
  }
  return texts;
}

function refuseBlank(texts: readonly string[], names: string): void {
  const blank = texts.findIndex((text) => !/\S/.test(text));
  if (blank >= 0) throw invalid(`element ${blank} of ${names} is empty`);
}

function idsRows(
  ids: IntegerTensor,
  by: ReadonlyMap<string, InputTensor>,
  maxRows: number,
): readonly IdsRow[] {
  const [rows = 0, width = 0] = ids.shape;
  if (ids.shape.length !== 2) {
    throw invalid(`input_ids has the shape [${ids.shape.join(', ')}]; it is [rows, tokens]`);
  }
  checkRows(rows, 'input_ids', maxRows);
  const mask = alike(by.get('attention_mask'), ids);
  const types = alike(by.get('token_type_ids'), ids);
  return Array.from({ length: rows }, (_, row): IdsRow => {
    const begin = row * width;
    const [from, to] = mask === undefined ? [0, width] : maskedSpan(mask, begin, width, row);
    if (from === to) throw invalid(`row ${row} has no tokens`);
    const of = (tensor: IntegerTensor) => [...tensor.integers.subarray(begin + from, begin + to)];
    return types === undefined ? { ids: of(ids) } : { ids: of(ids), types: of(types) };
  });
}

function alike(input: InputTensor | undefined, ids: IntegerTensor): IntegerTensor | undefined {
  if (!isIntegers(input)) return undefined;
  if (input.shape.length === 2 && input.shape.every((size, at) => size === ids.shape[at])) {
    return input;
  }
  const [own, other] = [input.shape.join(', '), ids.shape.join(', ')];
  throw invalid(`${input.name} has the shape [${own}] and input_ids has [${other}]`);
}

/**
 * Where the tokens of a row stand: padding is before them or behind them.
 *
 * @returns the first position and the one after the last.
 */
function maskedSpan(
  { integers }: IntegerTensor,
  begin: number,
  width: number,
  row: number,
): readonly [number, number] {
  const mask = integers.subarray(begin, begin + width);
  const odd = mask.find((value) => value > 1);
  if (odd !== undefined) throw invalid(`row ${row} of attention_mask has ${odd}: it is 0 or 1`);
  const first = mask.indexOf(1);
  if (first < 0) return [0, 0];
  const behind = mask.lastIndexOf(1) + 1;
  if (mask.subarray(first, behind).includes(0)) {
    throw invalid(
      `row ${row} of attention_mask has a hole: all tokens of a row follow one another`,
    );
  }
  if (first > 0 && behind < width) {
    throw invalid(`row ${row} of attention_mask has padding on both sides: pad one side`);
  }
  return [first, behind];
}

/** Rows of one text each. @throws PlimsollError INVALID_REQUEST if one is a pair. */
export function textsAlone(rows: readonly TextRow[]): readonly string[] {
  return rows.map((row) => {
    if (typeof row === 'string') return row;
    throw invalid('this model reads one text at a time: send text without text_pair');
  });
}
