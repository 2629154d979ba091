/** Elements that stand in the JSON of a request: flat, or nested as the shape says. Pure. */
import { elementsOf, invalid, MAX_INTEGER, shown } from './datatypes.js';

/**
 * The elements, row by row.
 *
 * 1. A list without lists in it is flat: it has as many elements as the shape says.
 * 2. Else it is nested: lists of the first size of lists of the second, and so on.
 *
 * @throws PlimsollError INVALID_REQUEST
 */
export function flatOf(data: unknown, shape: readonly number[], what: string): readonly unknown[] {
  if (!Array.isArray(data)) throw invalid(`${what} has no data: it is a list`);
  const list = data as readonly unknown[];
  if (!Array.isArray(list[0])) {
    const expected = elementsOf(shape); // 1
    if (list.length === expected) return list;
    const is = `its data has ${list.length}`;
    throw invalid(`${what} has the shape [${shape.join(', ')}], so ${expected} elements; ${is}`);
  }
  const flat: unknown[] = []; // 2
  collect(list, shape, 0, what, flat);
  return flat;
}

/** Never deeper than the shape has sizes, however deep the data nests. */
function collect(
  list: readonly unknown[],
  shape: readonly number[],
  depth: number,
  what: string,
  into: unknown[],
): void {
  if (list.length !== shape[depth]) {
    const place = `at depth ${depth + 1} its data has a list of ${list.length}`;
    throw invalid(`${what} has the shape [${shape.join(', ')}]; ${place}`);
  }
  for (const item of list) {
    if (depth === shape.length - 1) {
      into.push(item);
      continue;
    }
    if (!Array.isArray(item)) {
      throw invalid(`${what} mixes lists with ${shown(item)} in its data`);
    }
    collect(item as readonly unknown[], shape, depth + 1, what, into);
  }
}

/** @throws PlimsollError INVALID_REQUEST */
export function textsOf(flat: readonly unknown[], what: string): readonly string[] {
  return flat.map((item, index) => {
    if (typeof item === 'string') return item;
    throw invalid(`element ${index} of ${what} is ${shown(item)}; BYTES in JSON are texts`);
  });
}

/** @throws PlimsollError INVALID_REQUEST */
export function integersOf(flat: readonly unknown[], what: string): Int32Array {
  const integers = new Int32Array(flat.length);
  for (const [index, item] of flat.entries()) {
    if (!Number.isInteger(item) || Number(item) < 0 || Number(item) > MAX_INTEGER) {
      throw outOfRange(index, what, shown(item));
    }
    integers[index] = Number(item);
  }
  return integers;
}

export function outOfRange(index: number, what: string, value: string): Error {
  const range = `an integer from 0 to ${MAX_INTEGER} is expected`;
  return invalid(`element ${index} of ${what} is ${value}; ${range}`);
}
