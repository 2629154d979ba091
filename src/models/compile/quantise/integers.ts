/** Matrices as 8-bit integers, value ≈ integer × scale, symmetric; read and made some rows at a time. */
import { type Matrix, rowsOf } from './weight-rows.js';

/** The largest integer of a weight; the smallest is its negative, so that zero stays zero. */
export type MostInteger = 127 | 63;

export interface IntegerMatrix {
  /** Row-major. */
  readonly values: Int8Array;
  /** One for each column, or for each row. */
  readonly scales: Float32Array;
}

/** [rows, columns] with a scale for each column. Read twice: the scales have to be known first. */
export async function integersByColumn(
  matrix: Matrix,
  dataFolder: string,
  most: MostInteger,
): Promise<IntegerMatrix> {
  const { rows, columns } = matrix;
  const scales = new Float32Array(columns);
  for await (const { values } of rowsOf(matrix, dataFolder)) {
    for (let at = 0; at < values.length; at += 1) {
      const size = Math.abs(values[at] ?? 0);
      const column = at % columns;
      if (size > (scales[column] ?? 0)) scales[column] = size;
    }
  }
  toScales(scales, most);
  const integers = new Int8Array(rows * columns);
  for await (const { first, values } of rowsOf(matrix, dataFolder)) {
    for (let at = 0; at < values.length; at += 1) {
      integers[first * columns + at] = Math.round((values[at] ?? 0) / (scales[at % columns] ?? 1));
    }
  }
  return { values: integers, scales };
}

/** [rows, columns] with a scale for each row: as it is, or transposed to [columns, rows]. */
export async function integersByRow(
  matrix: Matrix,
  dataFolder: string,
  most: MostInteger,
  isTransposed: boolean,
): Promise<IntegerMatrix> {
  const { rows, columns } = matrix;
  const scales = new Float32Array(rows);
  const integers = new Int8Array(rows * columns);
  for await (const { first, values } of rowsOf(matrix, dataFolder)) {
    for (let begin = 0; begin < values.length; begin += columns) {
      const row = first + begin / columns;
      const scale = scaleOf(values, begin, begin + columns, most);
      scales[row] = scale;
      for (let column = 0; column < columns; column += 1) {
        const to = isTransposed ? column * rows + row : row * columns + column;
        integers[to] = Math.round((values[begin + column] ?? 0) / scale);
      }
    }
  }
  return { values: integers, scales };
}

function scaleOf(values: Float32Array, begin: number, end: number, most: MostInteger): number {
  let size = 0;
  for (let at = begin; at < end; at += 1) size = Math.max(size, Math.abs(values[at] ?? 0));
  // The float32 that is written is also what the integers are made with.
  return Math.fround((size || most) / most);
}

/** Sizes become scales. What is zero throughout may have any scale but zero. */
function toScales(sizes: Float32Array, most: MostInteger): void {
  for (let at = 0; at < sizes.length; at += 1) sizes[at] = (sizes[at] || most) / most;
}
