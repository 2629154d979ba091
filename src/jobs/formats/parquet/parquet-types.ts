/** What the schema of a Parquet file says of its columns. Pure. */
import type { SchemaElement } from 'hyparquet';
import type { OutputColumn } from '../format.js';

/** Meanings of a number that is read as text, or as whatever its JSON says. */
const AS_TEXT: ReadonlySet<string | undefined> = new Set([
  'DECIMAL',
  'DATE',
  'TIME_MILLIS',
  'TIME_MICROS',
  'TIMESTAMP_MILLIS',
  'TIMESTAMP_MICROS',
  'TIME',
  'TIMESTAMP',
  'INTERVAL',
  // Beyond the 64 bits with a sign.
  'UINT_64',
]);

/**
 * The type that a column is written with again.
 *
 * 1. Lists, maps and structs, and what is JSON: JSON text.
 * 2. Times, dates and decimals: text, as rows have them.
 * 3. Truth values, whole numbers of up to 64 bits with a sign, and numbers keep their type; 16 and 32 bits become 64.
 * 4. All else is text.
 */
export function typeOf(element: SchemaElement): OutputColumn['type'] {
  const { converted_type: converted, logical_type: logical } = element;
  const isNested = Boolean(element.num_children) || element.repetition_type === 'REPEATED';
  if (isNested || converted === 'JSON' || logical?.type === 'JSON') return 'json'; // 1
  const isLargest = logical?.type === 'INTEGER' && !logical.isSigned && logical.bitWidth === 64;
  if (AS_TEXT.has(converted) || AS_TEXT.has(logical?.type) || isLargest) return 'text'; // 2
  if (logical?.type === 'FLOAT16') return 'number';
  switch (element.type) {
    case 'BOOLEAN':
      return 'flag'; // 3
    case 'INT32':
    case 'INT64':
      return 'integer';
    case 'FLOAT':
    case 'DOUBLE':
      return 'number';
    default:
      return 'text'; // 4
  }
}
