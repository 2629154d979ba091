/**
 * The header of a safetensors file: JSON that names each tensor with its type, its shape and its bytes
 * within the data behind the header. The rules are those of the format's own description (safetensors,
 * "Format"): offsets without overlaps and without gaps, no name twice.
 */
import { messageOf } from '../../../errors.js';

/** A tensor as the header describes it. */
export interface TensorEntry {
  readonly name: string;
  /** As the format names it, such as `F32`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte within the data. */
  readonly begin: number;
  /** Byte after the last one. */
  readonly end: number;
}

/** Bits of one element of each type of the format. */
const ELEMENT_BITS: ReadonlyMap<string, number> = new Map([
  ...['F4'].map((dtype) => [dtype, 4] as const),
  ...['F6_E2M3', 'F6_E3M2'].map((dtype) => [dtype, 6] as const),
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0'].map((dtype) => [dtype, 8] as const),
  ...['I16', 'U16', 'F16', 'BF16'].map((dtype) => [dtype, 16] as const),
  ...['I32', 'U32', 'F32'].map((dtype) => [dtype, 32] as const),
  ...['F64', 'I64', 'U64', 'C64'].map((dtype) => [dtype, 64] as const),
]);

/** No tensor of a network has more; it bounds what a hostile shape costs. */
const MAX_DIMENSIONS = 8;
const METADATA = '__metadata__';

/**
 * Reads a header.
 *
 * @param dataBytes size of the data behind it: the file's size less what comes before.
 * @throws Error with the reason, without the file's name.
 */
export function parseHeader(text: string, dataBytes: number): readonly TensorEntry[] {
  if (!text.startsWith('{')) throw new Error('its header does not begin with {');
  const header = parseObject(text);
  refuseDuplicates(text);
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => readEntry(name, value));
  refuseOverlapsAndGaps(entries, dataBytes);
  return entries;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw new Error(`its header is not JSON: ${messageOf(error).slice(0, 100)}`);
  }
  throw new Error('its header is not a JSON object');
}

/** `JSON.parse` keeps the last of several values of one name; another reader may keep the first. */
function refuseDuplicates(text: string): void {
  // The keys seen so far in each open object; undefined for an open list.
  const open: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
  for (const [token, colon] of text.matchAll(tokens)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (colon !== undefined) {
      const key: unknown = JSON.parse(token.slice(0, -colon.length));
      const keys = open.at(-1);
      if (typeof key !== 'string' || keys === undefined) continue;
      if (keys.has(key)) throw new Error(`its header has ${shown(key)} twice`);
      keys.add(key);
    }
  }
}

function readEntry(name: string, value: unknown): TensorEntry {
  const of = `the tensor ${shown(name)}`;
  if (!isObject(value)) throw new Error(`${of} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === 'string' ? ELEMENT_BITS.get(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined) {
    throw new Error(`${of} has the unknown type ${shown(dtype)}`);
  }
  if (!isCounts(shape) || shape.length > MAX_DIMENSIONS) {
    throw new Error(`${of} has the shape ${shown(shape)}`);
  }
  const [begin, end] = isCounts(offsets) && offsets.length === 2 ? offsets : [];
  if (begin === undefined || end === undefined || begin > end) {
    throw new Error(`${of} has the offsets ${shown(offsets)}`);
  }
  const bytes = (shape.reduce((product, size) => product * size, 1) * bits) / 8;
  // A product beyond 2^53 has lost digits, but it is no file's size either.
  if (end - begin !== bytes) {
    const needs = `${dtype} [${shape.join(', ')}] takes ${bytes} bytes`;
    throw new Error(`${of} does not fit its offsets: ${needs}, the offsets hold ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

function refuseOverlapsAndGaps(entries: readonly TensorEntry[], dataBytes: number): void {
  const inOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of inOrder) {
    if (begin < at) throw new Error(`the tensor ${shown(name)} shares bytes with another one`);
    if (begin > at)
      throw new Error(`${begin - at} bytes before the tensor ${shown(name)} are none's`);
    at = end;
  }
  if (at > dataBytes) {
    throw new Error(`it is cut off: its header speaks of ${at} bytes of data, it has ${dataBytes}`);
  }
  if (at < dataBytes) throw new Error(`its last ${dataBytes - at} bytes are no tensor's`);
}

function isCounts(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && Number(item) >= 0)
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of a file that may be hostile, as it may stand in a message. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
