/** Values of Parquet columns as plain JSON values. Pure. */
import { isUtf8 } from 'node:buffer';
import type { ParquetParsers } from 'hyparquet';
import type { Columns, RowContent } from '../format.js';

/** Stands in for a text that is none, until its row is told to be a bad one. */
const NOT_TEXT = Symbol('not UTF-8');
const DAY_MS = 86_400_000;
const MAX_DEPTH = 200;

/** How columns with a meaning become values. Times are ISO 8601 in UTC, with all their digits. */
export const PARSERS: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => timeText(millis, 1000n),
  timestampFromMicroseconds: (micros) => timeText(micros, 1_000_000n),
  timestampFromNanoseconds: (nanos) => timeText(nanos, 1_000_000_000n),
  dateFromDays: (days) => dateText(days),
  stringFromBytes: (bytes) => textOf(bytes),
  jsonFromBytes: (bytes) => jsonOf(bytes),
};

export interface PlainRows {
  readonly rows: readonly RowContent[];
  /** What they are in memory, about. */
  readonly bytes: number;
}

/** How rows become plain. */
export interface PlainOptions {
  /** Scales of the decimals of the top level. */
  readonly scales: ReadonlyMap<string, number>;
  readonly texts: readonly string[];
  readonly maxBytes: number;
}

/**
 * Rows until they have more than `maxBytes`. What they have in the file is no measure: one text that a thousand rows share is there
 * once, while whoever is sent the rows gets a thousand.
 */
export function plainRows(
  decoded: readonly Record<string, unknown>[],
  options: PlainOptions,
): PlainRows {
  const rows: RowContent[] = [];
  let bytes = 0;
  for (const row of decoded) {
    const plain = plainRow(row, options);
    rows.push(plain);
    bytes += 'columns' in plain ? sizeOf(plain.columns) : plain.bad.length;
    if (bytes > options.maxBytes) break;
  }
  return { rows, bytes };
}

/** A number, and what a value needs beside its characters. */
const VALUE_BYTES = 4;

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return VALUE_BYTES + value.length;
  if (typeof value !== 'object' || value === null) return VALUE_BYTES;
  return Object.values(value).reduce((sum: number, each) => sum + sizeOf(each), VALUE_BYTES);
}

/**
 * 1. A whole number that a double does not hold exactly becomes a text of its digits.
 * 2. Bytes become a text if they are UTF-8, else base64.
 * 3. What JSON has no number for (NaN, infinities) becomes null.
 * 4. In a column that a model is to read, what became a text by 1 or 2 is none.
 */
function plainRow(row: Record<string, unknown>, { scales, texts }: PlainOptions): RowContent {
  try {
    const named = Object.entries(row).map(([name, value]) => {
      const scale = scales.get(name);
      return [name, scale === undefined ? plain(value, 0) : decimalOf(value, scale)];
    });
    const columns: Columns = Object.fromEntries(named);
    for (const name of texts) {
      const bad = typeof columns[name] === 'string' ? whyNoText(row[name], scales.has(name)) : ''; // 4
      if (bad !== '') return { columns, bad: `${name} is not ${bad}` };
    }
    return { columns };
  } catch (error) {
    if (error instanceof NotPlain) return { bad: error.message };
    throw error;
  }
}

/** Why a value of the file is no text, though it was made one; empty if it is one. */
function whyNoText(value: unknown, isDecimal: boolean): string {
  if (isDecimal || typeof value === 'bigint') return 'a text';
  return value instanceof Uint8Array && !isUtf8(value) ? 'UTF-8' : '';
}

class NotPlain extends Error {}

function plain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'bigint': // 1
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case 'number':
      return Number.isFinite(value) ? value : null; // 3
    case 'string':
    case 'boolean':
      return value;
    case 'symbol':
      throw new NotPlain('a text of the row is not UTF-8');
    case 'object':
      return value === null ? null : plainObject(value, depth + 1);
    default:
      return null;
  }
}

function plainObject(value: object, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new NotPlain(`a column has more than ${MAX_DEPTH} levels`);
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return bytes.toString(isUtf8(bytes) ? 'utf8' : 'base64'); // 2
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return Array.from(value as ArrayLike<unknown>, (each) => plain(each, depth));
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, each]) => [String(key), plain(each, depth)]));
}

function textOf(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined;
  return isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    : NOT_TEXT;
}

function jsonOf(bytes: Uint8Array | undefined): unknown {
  const text = textOf(bytes);
  if (typeof text !== 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `2026-01-31T12:00:00.123456Z`: as many digits as the unit has. */
function timeText(value: bigint | number | undefined, perSecond: bigint): string | undefined {
  if (value === undefined || value === null) return undefined;
  const units = BigInt(value);
  const parts = ((units % perSecond) + perSecond) % perSecond;
  const seconds = Number((units - parts) / perSecond);
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return String(units);
  const digits = String(parts).padStart(String(perSecond).length - 1, '0');
  return date.toISOString().replace(/\.000Z$/, `.${digits}Z`);
}

function dateText(days: number | undefined): string | undefined {
  if (days === undefined || days === null) return undefined;
  const date = new Date(days * DAY_MS);
  return Number.isNaN(date.getTime()) ? String(days) : date.toISOString().slice(0, 10);
}

/** A decimal by its unscaled digits: a number if that is exact, else a text. */
function decimalOf(unscaled: unknown, scale: number): unknown {
  const whole = unscaled instanceof Uint8Array ? signedOf(unscaled) : bigIntOf(unscaled);
  if (whole === undefined) return null;
  const digits = String(whole < 0n ? -whole : whole).padStart(scale + 1, '0');
  const point = digits.length - scale;
  const fraction = scale > 0 ? `.${digits.slice(point)}` : '';
  const text = `${whole < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`;
  // A double holds any 15 digits.
  return digits.length <= 15 ? Number(text) : text;
}

function bigIntOf(value: unknown): bigint | undefined {
  return typeof value === 'bigint' || typeof value === 'number' ? BigInt(value) : undefined;
}

/** Big-endian two’s complement. */
function signedOf(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).toString('hex');
  return hex === '' ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`));
}
