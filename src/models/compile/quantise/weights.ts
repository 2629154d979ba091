/** Weights as 8-bit integers: value ≈ integer × scale, symmetric, so that zero stays zero. */

/** −127 to 127: without −128 the range is the same on both sides. */
const MOST = 127;

export interface Quantised {
  /** Of the same shape, row-major. */
  readonly values: Int8Array;
  /** One for each column, or a single one. */
  readonly scales: Float32Array;
}

/** A matrix [rows, columns] with a scale for each column, as the weights of a MatMul are. */
export function quantiseColumns(weights: Float32Array, columns: number): Quantised {
  const scales = new Float32Array(columns);
  for (let at = 0; at < weights.length; at += 1) {
    const column = at % columns;
    const size = Math.abs(weights[at] ?? 0);
    if (size > (scales[column] ?? 0)) scales[column] = size;
  }
  for (let column = 0; column < columns; column += 1) {
    // A column of zeros may have any scale but zero.
    scales[column] = (scales[column] || MOST) / MOST;
  }
  const values = new Int8Array(weights.length);
  for (let at = 0; at < weights.length; at += 1) {
    values[at] = Math.round((weights[at] ?? 0) / (scales[at % columns] ?? 1));
  }
  return { values, scales };
}

/** A table with one scale for all of it, as word embeddings are. */
export function quantiseTable(weights: Float32Array): Quantised {
  return quantiseColumns(weights, 1);
}
