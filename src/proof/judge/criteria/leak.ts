/** The criterion on leaks. Pure. */

import { kb, mb, percent, plural, probability } from '../../format.js';
import type { Figures, TrendFigures } from '../figures.js';
import type { Criterion, Held } from './criterion.js';
import { THRESHOLDS } from './thresholds.js';

type Finding = readonly [string, Held];

/** A trend that could be computed. */
interface Slope {
  readonly slope: number;
  readonly low: number;
  readonly high: number;
  readonly p: number;
  readonly claimedAbove: number;
  readonly findable: number;
}

export function noLeak(figures: Figures): Criterion {
  const [value, held] = judgeTrends(figures);
  const { warmUpGrowthMb, leakFloorKb, leakResolutionKb, leakSessions, leakP } = THRESHOLDS;
  return {
    id: 'leak',
    claim: 'No memory leaks from session to session',
    how_tested: `Private memory of all processes after each cleanup. Left out as warm-up: the first ${percent(100 * THRESHOLDS.warmUpShare)} of the sessions, at least ${THRESHOLDS.warmUpSessions}. From the rest the Theil–Sen slope with its 95 % interval and the Mann–Kendall test, both corrected for readings that are alike because they follow each other (Yue and Wang). Heaps go on warming up for a while: growth of less than ${mb(warmUpGrowthMb)} over all judged sessions is not called a leak, and one that the later half of the sessions does not show has levelled off. Where workers were recycled, the longest stretch without a recycle is judged in the same way, because a recycle takes back what a worker leaked. At least ${leakSessions} judged sessions; a run that would overlook a leak of ${kb(leakResolutionKb)} a session (power ${percent(100 * THRESHOLDS.leakPower)}) cannot tell.`,
    threshold: `a leak is claimed when the whole interval lies above ${mb(warmUpGrowthMb)} ÷ judged sessions (at least ${kb(leakFloorKb)} a session), p is below ${leakP}, and the later half rises as fast`,
    value,
    held,
    may_stay_open: true,
  };
}

/** A leak in either is a leak; without one the whole run says what can be excluded. */
function judgeTrends({ trend, trend_between_recycles: between }: Figures): Finding {
  const whole = judgeTrend(trend);
  if (between === null) return whole;
  const [value, held] = judgeTrend(between);
  const stretch = `between recycles (sessions ${between.first_session} to ${between.last_session}) ${value}`;
  if (held === false && whole[1] !== false) return [stretch, false];
  return [`${whole[0]}; ${stretch}`, whole[1]];
}

/**
 * 1. Fewer than 24 judged sessions → cannot tell.
 * 2. The whole interval lies above what is claimed, and the Mann–Kendall test agrees:
 *    a. the later half rises faster than that, too → a leak;
 *    b. otherwise it has levelled off, and the later half's upper end says what can be excluded.
 * 3. A leak of 256 KB a session could have been overlooked, or lies within the interval → cannot tell.
 * 4. Otherwise no evidence of a leak larger than the interval's upper end.
 */
function judgeTrend(trend: TrendFigures): Finding {
  if (trend.judged_sessions < THRESHOLDS.leakSessions) {
    const found = plural(trend.sessions, 'session');
    const judged = `${trend.judged_sessions} after the warm-up of ${trend.warm_up_sessions}`;
    return [
      `${found} with a reading after the cleanup, ${judged}: too few to tell, it takes ${THRESHOLDS.leakSessions}`,
      'cannot tell',
    ];
  }
  const slope = slopeOf(trend);
  if (slope === null) return ['the readings have no private memory to follow', 'cannot tell'];
  const interval = `slope ${kb(slope.slope)} a session, interval ${kb(slope.low)} to ${kb(slope.high)}, p ${probability(slope.p)}, ${plural(trend.judged_sessions, 'session')} judged`;
  if (slope.low > slope.claimedAbove && slope.p < THRESHOLDS.leakP) {
    return judgeRise(trend, slope, interval);
  }
  const overlooked = Math.max(slope.findable, slope.high);
  if (overlooked > THRESHOLDS.leakResolutionKb) {
    return [
      `the readings are too scattered, or the sessions too few, to tell: a leak of ${kb(overlooked)} a session could be overlooked; ${interval}`,
      'cannot tell',
    ];
  }
  const bound = kb(Math.max(0, slope.high));
  return [
    `no evidence of a leak larger than ${bound} a session; ${interval}; a leak of ${kb(slope.findable)} would have been found`,
    true,
  ];
}

function slopeOf(trend: TrendFigures): Slope | null {
  const { slope_kb: slope, low_kb: low, high_kb: high, mann_kendall_p: p } = trend;
  const { claimed_above_kb: claimedAbove, findable_kb: findable } = trend;
  if (slope === null || low === null || high === null) return null;
  if (p === null || claimedAbove === null || findable === null) return null;
  return { slope, low, high, p, claimedAbove, findable };
}

/** Step 2 of {@link judgeTrend}. */
function judgeRise(trend: TrendFigures, { claimedAbove }: Slope, interval: string): Finding {
  const { late_sessions, late_slope_kb: slope, late_low_kb: low, late_high_kb: high } = trend;
  if (slope === null || low === null || high === null) {
    return [`memory grew, and it cannot be told whether it goes on: ${interval}`, 'cannot tell'];
  }
  const later = `in the last ${plural(late_sessions, 'session')} ${kb(slope)}, interval ${kb(low)} to ${kb(high)}`;
  if (slope > claimedAbove) {
    return [
      `memory grows by more than the ${kb(claimedAbove)} a session that warming up can explain: ${interval}; ${later}`,
      false,
    ];
  }
  if (high > THRESHOLDS.leakResolutionKb) {
    return [
      `memory grew, and it cannot be told whether it goes on: ${interval}; ${later}`,
      'cannot tell',
    ];
  }
  return [
    `memory grew and levelled off, no evidence of a leak larger than ${kb(Math.max(0, high))} a session: ${interval}; ${later}`,
    true,
  ];
}
