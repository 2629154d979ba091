import type { Dispatch } from './scheduler.js';
import type { WaitingRow } from './waiting-rows.js';

/** All rows that leave the queue with a batch: those that run, each with those that get its result. */
export function allRowsOf<R extends WaitingRow>({ rows, same }: Dispatch<R>): readonly R[] {
  return rows.flatMap((row) => [row, ...(same.get(row) ?? [])]);
}

/** In characters. */
export function rowSizesOf(rows: readonly Pick<WaitingRow, 'size'>[]): readonly number[] {
  return rows.map(({ size }) => size);
}

/**
 * Rows of a batch that would be answered too late.
 *
 * @param isTooLate whether a row would be late in a batch with rows of these sizes, in characters
 * @returns those that would be `late` in any case, and the `urgent` ones: they would be late only as others run with them.
 */
export function lateRows<R extends WaitingRow & { readonly isJob: boolean }>(
  dispatch: Dispatch<R>,
  isTooLate: (row: R, sizes: readonly number[]) => boolean,
): { readonly late: readonly R[]; readonly urgent: readonly R[] } {
  const sizes = rowSizesOf(dispatch.rows);
  const late: R[] = [];
  const urgent: R[] = [];
  for (const row of allRowsOf(dispatch)) {
    if (row.isJob || !isTooLate(row, sizes)) continue;
    if (sizes.length > 1 && !isTooLate(row, [row.size])) urgent.push(row);
    else late.push(row);
  }
  return { late, urgent };
}
