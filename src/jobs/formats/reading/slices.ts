/** Groups rows into slices: as many as are asked together, or one MB, whatever comes first. */
import type { InputRow } from '../format.js';

const SLICE_ROWS = 64;
const SLICE_BYTES = 1024 * 1024;

/** A row, and how many bytes of the file it is. */
export interface MeasuredRow {
  readonly row: InputRow;
  readonly bytes: number;
}

export async function* slicesOf(
  rows: AsyncIterable<readonly MeasuredRow[]>,
): AsyncGenerator<readonly InputRow[]> {
  let slice: InputRow[] = [];
  let bytes = 0;
  for await (const some of rows) {
    for (const { row, bytes: rowBytes } of some) {
      slice.push(row);
      bytes += rowBytes;
      if (slice.length < SLICE_ROWS && bytes < SLICE_BYTES) continue;
      yield slice;
      slice = [];
      bytes = 0;
    }
  }
  if (slice.length > 0) yield slice;
}
