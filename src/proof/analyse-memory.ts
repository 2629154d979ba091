/** Figures of the memory: usage over the run, and its trend over the sessions. Pure. */
import type { MemoryFigures, SessionFigures, TrendFigures, UsageFigures } from './figures.js';
import type { LoadRun, Reading } from './run.js';
import { describe } from './statistics.js';
import { THRESHOLDS } from './thresholds.js';
import { mannKendall, theilSen } from './trend.js';

const KB_IN_MB = 1024;

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

/** The trend of private memory after each cleanup, over the session numbers. */
export function analyseTrend(sessions: readonly SessionFigures[]): TrendFigures {
  const points = sessions
    .filter((session) => session.private_after_mb !== null)
    .map((session) => ({ x: session.session, y: (session.private_after_mb ?? 0) * KB_IN_MB }));
  const warmUp = Math.floor(points.length * THRESHOLDS.warmUpShare);
  const judged = points.slice(warmUp);
  const late = judged.slice(Math.floor(judged.length / 2));
  const slope = theilSen(judged);
  const lateSlope = theilSen(late);
  const test = mannKendall(judged.map((point) => point.y));
  return {
    sessions: points.length,
    warm_up_sessions: warmUp,
    judged_sessions: judged.length,
    slope_kb: slope?.slope ?? null,
    low_kb: slope?.interval.low ?? null,
    high_kb: slope?.interval.high ?? null,
    mann_kendall_s: test?.s ?? null,
    mann_kendall_p: test?.p ?? null,
    growth_mb: slope === null ? null : (slope.slope * judged.length) / KB_IN_MB,
    late_sessions: late.length,
    late_slope_kb: lateSlope?.slope ?? null,
    late_low_kb: lateSlope?.interval.low ?? null,
    late_high_kb: lateSlope?.interval.high ?? null,
  };
}
