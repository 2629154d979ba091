/** One line of JSONL. Pure. */
import { isUtf8 } from 'node:buffer';
import type { Columns, RowContent } from '../format.js';

/** Deeper values would overflow the stack of what writes them. */
const MAX_DEPTH = 200;
/** Only a number of that many digits can be beyond what a double holds exactly. */
const LONG_NUMBER = /\d{16}/;

/** @param texts columns that are to be texts in the line itself, not large numbers that become some */
export function jsonRow(line: Buffer, texts: readonly string[] = []): RowContent {
  if (!isUtf8(line)) return { bad: 'the line is not UTF-8' };
  const text = line.toString('utf8');
  const columns = columnsOf(text);
  if (typeof columns === 'string') return { bad: columns };
  const number = texts.find((name) => {
    const value = Object.hasOwn(columns, name) ? columns[name] : undefined;
    return typeof value === 'string' && /^-?\d{16,}$/.test(value);
  });
  // Only of such a text is there any doubt, and as it stands in the line it is a number or a text.
  const written = number === undefined ? undefined : JSON.parse(text)[number];
  return typeof written === 'number' ? { columns, bad: `${number} is not a text` } : { columns };
}

/** @returns the columns, or why the line has none */
function columnsOf(text: string): Columns | string {
  let value: unknown;
  try {
    value = JSON.parse(LONG_NUMBER.test(text) ? withExactNumbers(text) : text);
  } catch (error) {
    return `the line is not JSON: ${reasonOf(error)}`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `the line is ${kindOf(value)}, not an object of columns`;
  }
  for (const column of Object.values(value)) {
    if (isDeeper(column, MAX_DEPTH)) return `a column has more than ${MAX_DEPTH} levels`;
  }
  return value as Columns;
}

/** V8 quotes the text it stopped at, which is the caller’s and does not belong into logs. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const position = /at position \d+/.exec(message)?.[0];
  if (/^Unexpected end|^Unterminated/.test(message)) return 'it ends too early';
  return position === undefined ? 'it cannot be parsed' : `unexpected character ${position}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return (
    { string: 'a text', number: 'a number', boolean: 'a truth value' }[typeof value as string] ??
    'a value'
  );
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((each) => isDeeper(each, levels - 1));
}

/**
 * Whole numbers that a double cannot hold exactly become texts of the same digits: an id that is carried through must not
 * change. Everything else stays as it is.
 */
export function withExactNumbers(json: string): string {
  let done = '';
  let from = 0;
  let at = 0;
  while (at < json.length) {
    const character = json[at] ?? '';
    if (character === '"') at = endOfString(json, at);
    else if (!/[-\d]/.test(character)) at += 1;
    else {
      const end = endOfNumber(json, at);
      const digits = json.slice(at, end);
      if (/^-?\d+$/.test(digits) && !Number.isSafeInteger(Number(digits))) {
        done += `${json.slice(from, at)}"${digits}"`;
        from = end;
      }
      at = end;
    }
  }
  return done + json.slice(from);
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const end = json.indexOf('"', at);
    if (end < 0) return json.length;
    let slashes = 0;
    while (json[end - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

function endOfNumber(json: string, start: number): number {
  let at = start + 1;
  while (/[\d.eE+-]/.test(json[at] ?? '')) at += 1;
  return at;
}
