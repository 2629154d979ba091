import type { Mark } from '../data/wire.js';

/** Marks that stand so close together in the chart that they share one symbol. */
export interface MarkGroup {
  /** Stays the same while the chart moves on with time. */
  readonly key: number;
  readonly marks: readonly [Mark, ...Mark[]];
  /** The group's cell, and the middle of its symbol, in CSS pixels from the plot's left edge. */
  readonly leftPx: number;
  readonly widthPx: number;
  readonly symbolPx: number;
}

export interface MarkScale {
  /** Seconds since 1970 at the plot's left and right edge. */
  readonly from: number;
  readonly to: number;
  readonly widthPx: number;
}

/** Smallest cell: it holds a symbol, and is large enough to be tapped (WCAG 2.5.8 asks for 24 pixels). */
const MIN_CELL_PX = 26;
const SYMBOL_PX = 24;

/**
 * Groups marks so that every symbol can be read, however dense they are.
 *
 * 1. Time is cut into cells of one length, wide enough for a symbol. Lengths grow by √2 and cells begin
 *    at multiples of them since 1970, so that groups stay what they are while the chart moves.
 * 2. Marks of one cell are one group; marks outside the chart are left out.
 * 3. A symbol stands at the mean time of its marks; never so near to the cell's edge that it would touch
 *    a neighbour.
 */
export function groupMarks(marks: readonly Mark[], scale: MarkScale): readonly MarkGroup[] {
  const { from, to, widthPx } = scale;
  if (widthPx <= 0 || to <= from) return [];
  const pxPerSecond = widthPx / (to - from);
  const cellSeconds = cellLength(MIN_CELL_PX / pxPerSecond);
  const cells = new Map<number, [Mark, ...Mark[]]>();
  for (const mark of marks) {
    const at = secondsOf(mark);
    if (!(at >= from && at <= to)) continue;
    const key = Math.floor(at / cellSeconds);
    const cell = cells.get(key);
    if (cell === undefined) cells.set(key, [mark]);
    else cell.push(mark);
  }
  const cellPx = cellSeconds * pxPerSecond;
  const groups = [...cells].map(([key, members]) => {
    const leftPx = (key * cellSeconds - from) * pxPerSecond;
    const mean = members.reduce((sum, mark) => sum + secondsOf(mark), 0) / members.length;
    const [minPx, maxPx] = [leftPx + SYMBOL_PX / 2, leftPx + cellPx - SYMBOL_PX / 2];
    const symbolPx = Math.min(Math.max((mean - from) * pxPerSecond, minPx), maxPx);
    return { key, marks: members, leftPx, widthPx: cellPx, symbolPx };
  });
  return groups.sort((a, b) => a.key - b.key);
}

/** Seconds since 1970. */
export function secondsOf(mark: Mark): number {
  return Date.parse(mark.at) / 1000;
}

/** The next power of √2 seconds. */
function cellLength(minSeconds: number): number {
  return 2 ** (Math.ceil(Math.log2(minSeconds) * 2) / 2);
}
