/** Growth of memory from session to session; `leak.ts` judges these figures. Pure. */

import { Z_80, Z_95 } from '../statistics.js';
import { THRESHOLDS } from './criteria/thresholds.js';
import type { Figures, SessionFigures, TrendFigures } from './figures.js';
import { mannKendall, type Point, serialFactor, theilSen } from './trend.js';

const KB_IN_MB = 1024;

/** Trends over all sessions, and over the longest stretch without a recycle, which returns what workers hold. */
export function analyseTrends(
  sessions: readonly SessionFigures[],
): Pick<Figures, 'trend' | 'trend_between_recycles'> {
  const stretches = betweenRecycles(sessions);
  const longest = stretches.reduce((best, one) => (one.length > best.length ? one : best), []);
  const between = stretches.length < 2 ? null : analyseTrend(longest);
  return {
    trend: analyseTrend(sessions),
    trend_between_recycles:
      between === null || between.judged_sessions < THRESHOLDS.leakSessions ? null : between,
  };
}

/** A recycle resets the count of users; its session begins the next stretch. */
function betweenRecycles(
  sessions: readonly SessionFigures[],
): readonly (readonly SessionFigures[])[] {
  const stretches: SessionFigures[][] = [];
  let earlier = Infinity;
  for (const session of sessions) {
    const users = session.users_since_recycle ?? earlier;
    if (users < earlier) stretches.push([]);
    stretches.at(-1)?.push(session);
    earlier = users;
  }
  return stretches;
}

function analyseTrend(sessions: readonly SessionFigures[]): TrendFigures {
  const points = sessions.flatMap(({ session, private_after_mb: mb }) =>
    mb === null ? [] : [{ x: session, y: mb * KB_IN_MB }],
  );
  const share = Math.floor(points.length * THRESHOLDS.warmUpShare);
  const warmUp = Math.min(points.length, Math.max(share, THRESHOLDS.warmUpSessions));
  const judged = points.slice(warmUp);
  const late = slopeOf(judged.slice(Math.floor(judged.length / 2)));
  const whole = slopeOf(judged);
  const test = mannKendall(
    judged.map((point) => point.y),
    whole.serial,
  );
  const claimedAbove =
    judged.length === 0
      ? null
      : Math.max(THRESHOLDS.leakFloorKb, (THRESHOLDS.warmUpGrowthMb * KB_IN_MB) / judged.length);
  return {
    first_session: points[0]?.x ?? 0,
    last_session: points.at(-1)?.x ?? 0,
    sessions: points.length,
    warm_up_sessions: warmUp,
    judged_sessions: judged.length,
    slope_kb: whole.slope,
    low_kb: whole.low,
    high_kb: whole.high,
    serial_factor: whole.serial,
    mann_kendall_s: test?.s ?? null,
    mann_kendall_p: test?.p ?? null,
    growth_mb: whole.slope === null ? null : (whole.slope * judged.length) / KB_IN_MB,
    claimed_above_kb: claimedAbove,
    findable_kb: findable(claimedAbove, whole),
    late_sessions: judged.length - Math.floor(judged.length / 2),
    late_slope_kb: late.slope,
    late_low_kb: late.low,
    late_high_kb: late.high,
  };
}

interface Slope {
  readonly slope: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly serial: number;
}

function slopeOf(points: readonly Point[]): Slope {
  const serial = serialFactor(points);
  const found = theilSen(points, serial);
  if (found === null) return { slope: null, low: null, high: null, serial };
  return { slope: found.slope, ...found.interval, serial };
}

/**
 * The slope whose interval has its lower end above the claim with a probability of 80 %: the claim plus the
 * interval's half width and the normal quantile of the power, in standard errors.
 */
function findable(claimedAbove: number | null, { low, high }: Slope): number | null {
  if (claimedAbove === null || low === null || high === null) return null;
  const error = (high - low) / (2 * Z_95);
  return claimedAbove + (Z_95 + Z_80) * error;
}
