/** Values of Parquet columns as plain JSON values. Pure. */
import { isUtf8 } from 'node:buffer';
import type { ParquetParsers } from 'hyparquet';
import type { Columns } from '../format.js';

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

/**
 * 1. A whole number that a double does not hold exactly becomes a text of its digits.
 * 2. Bytes become a text if they are UTF-8, else base64.
 * 3. What JSON has no number for (NaN, infinities) becomes null.
 *
 * @returns the columns, or why there are none
 */
export function plainRow(row: Readonly<Record<string, unknown>>): Columns | string {
  try {
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value, 0)]));
  } catch (error) {
    if (error instanceof NotPlain) return error.message;
    throw error;
  }
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
export function decimalOf(unscaled: unknown, scale: number): unknown {
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
