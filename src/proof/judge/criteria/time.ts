/** The criteria on time. Other programs make every duration longer, so their CPU time counts. Pure. */

import { count, list, ms, percent, probability } from '../../format.js';
import type { Figures } from '../figures.js';
import type { Criterion, Held } from './criterion.js';
import { THRESHOLDS } from './thresholds.js';

/** The model that comes with Plimsoll, whose times are held against the reference's. */
const BUNDLED_MODEL = 'spam';

/** A time over its limit proves nothing when other programs used much of the CPU. */
function heldOnTime(inTime: boolean, { others_cpu_percent: others }: Figures): Held {
  if (inTime) return true;
  return others !== null && others > THRESHOLDS.othersCpuPercent ? 'cannot tell' : false;
}

/** What may explain a time over its limit. */
function besides(inTime: boolean, { others_cpu_percent: others }: Figures): string {
  return inTime || others === null
    ? ''
    : `; other programs took ${percent(others)} of the machine's CPU time`;
}

const BACKGROUND_CPU = `A time over the bound is not held against the server when other programs took more than ${percent(THRESHOLDS.othersCpuPercent)} of the machine's CPU time (from /proc/stat, less the server's processes and the proof's own).`;

export function responseTime(figures: Figures): Criterion {
  const { response } = figures.load;
  const models = [...new Set(figures.sessions.flatMap((session) => session.models))];
  const isBundled = models.every((model) => model === BUNDLED_MODEL);
  const found = response === null ? 'no request succeeded' : ms(response.mean);
  const inTime = response !== null && response.mean <= THRESHOLDS.responseMs;
  const other = `; judged for the bundled model alone, here ${list(models)} answered`;
  return {
    id: 'response',
    claim: 'Answers are ten times as fast as in the reference run',
    how_tested: `Mean over all successful requests, as the client saw it. ${BACKGROUND_CPU}`,
    threshold: `at most ${ms(THRESHOLDS.responseMs)}, a tenth of the reference's 0.84 s`,
    value: isBundled ? `${found}${besides(inTime, figures)}` : `${found}${other}`,
    held: response === null || !isBundled ? 'cannot tell' : heldOnTime(inTime, figures),
    may_stay_open: response !== null,
  };
}

/** The longer of the receipt's duration and the client's wait: the server must not be its own judge. */
export function cleanupTime(figures: Figures): Criterion {
  const times = figures.sessions.flatMap((session) =>
    session.receipt_ms === null || session.end_request_ms === null
      ? []
      : [{ session: session.session, ms: Math.max(session.receipt_ms, session.end_request_ms) }],
  );
  const slowest = times.reduce((max, one) => (one.ms > max.ms ? one : max), { session: 0, ms: 0 });
  const inTime = slowest.ms <= THRESHOLDS.cleanupMs;
  return {
    id: 'cleanup-time',
    claim: 'Each cleanup is ten times as fast as in the reference run',
    how_tested: `For each session the longer of the receipt's own duration and the time that the client waited for the end of the session. ${BACKGROUND_CPU}`,
    threshold: `each at most ${ms(THRESHOLDS.cleanupMs)}, a tenth of the reference's 6 s`,
    value:
      times.length === 0
        ? 'no cleanup was timed'
        : `slowest ${ms(slowest.ms)}, in session ${slowest.session}${besides(inTime, figures)}`,
    held: times.length === 0 ? 'cannot tell' : heldOnTime(inTime, figures),
    may_stay_open: times.length > 0,
  };
}

/**
 * 1. Too few requests right after cleanups → cannot tell.
 * 2. The whole interval of the difference lies above the bound → it costs something.
 * 3. The interval ends below the bound → it costs nothing that anyone notices, and how much is said.
 * 4. Otherwise → cannot tell.
 */
export function cleanupCost(figures: Figures): Criterion {
  const { after_cleanup: near, others, shift_ms: shift, low_ms, high_ms, p } = figures.speed;
  const head = {
    id: 'cleanup-cost',
    claim: 'Cleanups cost their callers nothing that they notice',
    how_tested:
      "Each user's first request after a cleanup, which also waits for what the cleanup unloaded to be loaded again. All users send it at once; so they do with one request in the middle of each session, and that is what it is held against (in an open loop all later ones): median of all pairwise differences (Hodges–Lehmann) with its 95 % interval, and the Mann–Whitney test.",
    threshold: `the whole interval below ${ms(THRESHOLDS.noticeableMs)}, the delay from which people notice that a system reacts`,
    may_stay_open: true,
  };
  if (near === null || others === null || shift === null || low_ms === null || high_ms === null) {
    return { ...head, value: 'too few requests right after a cleanup', held: 'cannot tell' };
  }
  const isShown = p !== null && p < THRESHOLDS.leakP;
  const word = isShown
    ? shift > 0
      ? 'they are slower'
      : 'they are faster'
    : 'no difference shown';
  return {
    ...head,
    value: `${word}: ${ms(shift)}, interval ${ms(low_ms)} to ${ms(high_ms)}, p ${probability(p)}, ${count(near.count)} requests against ${count(others.count)}${besides(high_ms < THRESHOLDS.noticeableMs, figures)}`,
    held:
      high_ms < THRESHOLDS.noticeableMs
        ? true
        : low_ms > THRESHOLDS.noticeableMs
          ? heldOnTime(false, figures)
          : 'cannot tell',
  };
}
