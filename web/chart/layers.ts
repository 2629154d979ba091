import type { AlignedData } from 'uplot';
import { type History, TOTALS } from '../data/history.js';
import { SLOTS } from '../data/process-slots.js';
import type { Series } from '../data/series.js';

/** One line of the chart, with the area below it. */
export interface Layer {
  readonly label: string;
  /** Custom properties of the style sheet. */
  readonly stroke: string;
  readonly fill?: string;
  readonly dashed?: true;
  readonly width: number;
}

export interface ChartData {
  readonly layers: readonly Layer[];
  /** Differs where the layers differ. */
  readonly key: string;
  readonly data: AlignedData;
}

export type View = 'processes' | 'machine';

/** Readings further apart than this are not joined by a line. */
const GAP_SECONDS = 6;

type Column = (number | null)[];

/** Plimsoll's processes stacked: of each its private memory, then its shared memory on top. */
export function processData(history: History, from: number): ChartData {
  const { processes } = history;
  const start = Math.max(0, processes.indexFrom(from) - 1);
  const used = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => {
    for (let at = start; at < processes.length; at += 1) {
      if (history.slotAt(at, slot) !== undefined) return true;
    }
    return false;
  });
  const times: number[] = [];
  const columns: Column[] = Array.from({ length: used.length * 2 }, () => []);
  for (let at = start; at < processes.length; at += 1) {
    breakBefore(processes, at, start, times, columns);
    times.push(processes.at(at, 0));
    let height = 0;
    for (const [index, slot] of used.entries()) {
      const process = history.slotAt(at, slot);
      height += process?.privateMb ?? 0;
      columns[index * 2]?.push(height);
      height += process?.sharedMb ?? 0;
      columns[index * 2 + 1]?.push(height);
    }
  }
  const layers = used.flatMap((slot): readonly Layer[] => [
    { label: `${slot} private`, stroke: `--slot-${slot}`, fill: `--slot-${slot}`, width: 1 },
    {
      label: `${slot} shared`,
      stroke: `--slot-${slot}`,
      fill: `--slot-${slot}-shared`,
      width: 0.5,
    },
  ]);
  // The highest area is drawn first; the lower ones then cover what is theirs.
  return {
    layers: layers.toReversed(),
    key: `processes ${used.join()}`,
    data: [times, ...columns.toReversed()],
  };
}

const MACHINE_LAYERS: readonly Layer[] = [
  { label: 'used', stroke: '--level-line', fill: '--level-fill', width: 1.5 },
  { label: 'Plimsoll', stroke: '--slot-0', fill: '--slot-0', width: 1 },
  { label: 'load line', stroke: '--load-line', dashed: true, width: 2 },
];

/** Memory used on the machine, the load line, and Plimsoll's part of it. */
export function machineData(series: Series, from: number, gapSeconds = GAP_SECONDS): ChartData {
  const start = Math.max(0, series.indexFrom(from) - 1);
  const times: number[] = [];
  const columns: [Column, Column, Column] = [[], [], []];
  for (let at = start; at < series.length; at += 1) {
    breakBefore(series, at, start, times, columns, gapSeconds);
    times.push(series.at(at, TOTALS.time));
    columns[0].push(series.at(at, TOTALS.used));
    columns[1].push(series.at(at, TOTALS.pss));
    columns[2].push(series.at(at, TOTALS.line));
  }
  return { layers: MACHINE_LAYERS, key: 'machine', data: [times, ...columns] };
}

const DAY_LAYERS: readonly Layer[] = [
  { label: 'shared', stroke: '--slot-0', fill: '--slot-0-shared', width: 0.5 },
  { label: 'private', stroke: '--slot-0', fill: '--slot-0', width: 1 },
];

/** Plimsoll's processes in sum: by process, readings are not kept for a day. */
export function dayData(series: Series, from: number, gapSeconds: number): ChartData {
  const start = Math.max(0, series.indexFrom(from) - 1);
  const times: number[] = [];
  const columns: [Column, Column] = [[], []];
  for (let at = start; at < series.length; at += 1) {
    breakBefore(series, at, start, times, columns, gapSeconds);
    times.push(series.at(at, TOTALS.time));
    columns[0].push(series.at(at, TOTALS.pss));
    columns[1].push(series.at(at, TOTALS.private));
  }
  return { layers: DAY_LAYERS, key: 'day', data: [times, ...columns] };
}

function breakBefore(
  series: Series,
  at: number,
  start: number,
  times: number[],
  columns: readonly Column[],
  gapSeconds = GAP_SECONDS,
): void {
  if (at === start) return;
  const before = series.at(at - 1, 0);
  if (series.at(at, 0) - before <= gapSeconds) return;
  times.push(before + gapSeconds / 2);
  for (const column of columns) column.push(null);
}
