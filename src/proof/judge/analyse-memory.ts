/** Figures of the memory: usage over the run. Pure. */

import type { LoadRun } from '../play/run.js';
import type { Moments } from '../play/sample.js';
import type { MemoryFigures, UsageFigures } from './figures.js';

export function analyseMemory({ readingTotals: totals }: LoadRun): MemoryFigures {
  const totalMb = totals.last?.totalMb ?? null;
  const lineMb = totals.last?.loadLineMb ?? null;
  const used = usage(totals.used, totalMb);
  return {
    total_mb: totalMb,
    load_line_mb: lineMb,
    used_of_line_percent: used === null || lineMb === null ? null : (100 * used.max_mb) / lineMb,
    readings: totals.count,
    readings_missed: totals.missed,
    used,
    private: usage(totals.private, totalMb),
    pressure: [...totals.levels].map(([level, count]) => ({ level, readings: count })),
  };
}

function usage(all: Moments, totalMb: number | null): UsageFigures | null {
  if (all.count === 0 || totalMb === null) return null;
  return {
    readings: all.count,
    first_mb: all.first,
    last_mb: all.last,
    min_mb: all.min,
    max_mb: all.max,
    range_mb: all.max - all.min,
    mean_mb: all.mean,
    sd_mb: all.sd,
    variation_percent: all.mean === 0 ? 0 : (100 * all.sd) / all.mean,
    share_percent: (100 * all.mean) / totalMb,
    min_share_percent: (100 * all.min) / totalMb,
    max_share_percent: (100 * all.max) / totalMb,
  };
}
