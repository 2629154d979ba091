/** Figures of the memory: usage over the run. Pure. */
import type { MemoryFigures, UsageFigures } from './figures.js';
import type { LoadRun, Reading } from './run.js';
import { describe } from './statistics.js';

export function analyseMemory(run: LoadRun): MemoryFigures {
  const { readings } = run;
  const last = readings.at(-1);
  const totalMb = last?.totalMb ?? null;
  const lineMb = last?.loadLineMb ?? null;
  const used = usage(readings, (reading) => reading.usedMb);
  const levels = new Map<string, number>();
  for (const { pressure } of readings) levels.set(pressure, (levels.get(pressure) ?? 0) + 1);
  return {
    total_mb: totalMb,
    load_line_mb: lineMb,
    used_of_line_percent: used === null || lineMb === null ? null : (100 * used.max_mb) / lineMb,
    readings: readings.length,
    readings_missed: run.readingsMissed,
    used,
    private: usage(readings, (reading) => reading.privateMb),
    pressure: [...levels].map(([level, count]) => ({ level, readings: count })),
  };
}

function usage(
  readings: readonly Reading[],
  pick: (reading: Reading) => number | null,
): UsageFigures | null {
  const values = readings.map(pick).filter((value) => value !== null);
  const all = describe(values);
  const totalMb = readings.at(-1)?.totalMb;
  if (all === null || totalMb === undefined) return null;
  return {
    readings: all.count,
    first_mb: values[0] ?? all.min,
    last_mb: values.at(-1) ?? all.max,
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
