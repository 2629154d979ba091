/** Computes every figure of the report from the raw data of a run. Pure. */

import { controlRequest } from '../play/plan.js';
import type { LoadRun, RequestTotals, SessionRun } from '../play/run.js';
import { describeSampled } from '../play/sample.js';
import { describe, median, wilson } from '../statistics.js';
import { analyseMemory } from './analyse-memory.js';
import { analyseRamp } from './analyse-ramp.js';
import { analyseTrends } from './analyse-trend.js';
import { THRESHOLDS } from './criteria/thresholds.js';
import { analyseFeatures } from './features.js';
import type {
  CleanupFigures,
  Figures,
  LabelFigures,
  LoadFigures,
  SessionFigures,
  SpeedFigures,
} from './figures.js';
import { analyseOmission } from './omission.js';
import { mannWhitney } from './rank-test.js';

/**
 * States in which no worker holds a model; any other counts as loaded. `unprepared` has no mapped form either, as
 * when all answers came from a cache.
 */
const UNLOADED: readonly string[] = ['unloaded', 'unprepared'];

export function analyse(run: LoadRun): Figures {
  const usual = usualProcesses(run.readingTotals.processCounts);
  const sessions = run.sessions.map((session) => analyseSession(session, usual));
  return {
    others_cpu_percent: run.othersCpuPercent,
    load: analyseLoad(run, sessions),
    labels: analyseLabels(run.requestTotals),
    sessions,
    cleanup: analyseCleanup(run, sessions),
    speed: analyseSpeed(run),
    memory: analyseMemory(run),
    ...analyseTrends(sessions),
    ramp: analyseRamp(run),
    features: analyseFeatures(run),
  };
}

/** The most frequent number of processes. */
function usualProcesses(counts: ReadonlyMap<number, number>): number {
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), [0, 0])[0];
}

function analyseSession(session: SessionRun, usual: number): SessionFigures {
  const playMs = session.playedMs - session.startedMs;
  const { receipt, requests } = session;
  return {
    session: session.number,
    id: session.id,
    state: session.state,
    problem: session.problem,
    play_ms: playMs,
    end_request_ms: session.id === null ? null : session.closedMs - session.playedMs,
    receipt_ms: receipt?.duration_ms ?? null,
    users: session.users.length,
    users_successful: session.users.filter((user) => user === 'successful').length,
    users_failed: session.users.filter((user) => user === 'failed').length,
    users_unfinished: session.users.filter((user) => user === 'unfinished').length,
    requests: requests.sent,
    requests_ok: requests.ok,
    requests_failed: requests.failed,
    requests_from_cache: requests.fromCache,
    requests_per_s: playMs > 0 ? (requests.ok * 1000) / playMs : null,
    response: requests.response,
    models: session.models,
    models_still_loaded: stillLoaded(session),
    ...privateMemory(session, recycledMeanwhile(session, usual)),
    other_sessions: session.otherSessions,
    users_since_recycle: session.after?.usersSinceRecycle ?? null,
    disturbance: session.disturbance,
    freed_mb: receipt?.freed_mb ?? null,
    freed_private_mb: receipt?.freed_private_mb ?? null,
    receipt_complete: receipt !== null && receipt.before !== null && receipt.after !== null,
  };
}

/** Models that answered and are not listed as unloaded; a model missing from the list is not proven unloaded. */
function stillLoaded(session: SessionRun): readonly string[] | null {
  const { modelsAfter } = session;
  if (modelsAfter === null) return null;
  return session.models.flatMap((id) => {
    const state = modelsAfter.find((model) => model.id === id)?.state ?? 'not listed';
    return UNLOADED.includes(state) ? [] : [`${id} (${state})`];
  });
}

function privateMemory(session: SessionRun, recycled: boolean) {
  const { before, beforeCleanup, after } = session;
  // What other sessions use stays, and is not this session's to give back.
  const comparable = !recycled && session.otherSessions === 0;
  const all = takenAndReturned(
    before?.privateMb ?? null,
    session.highestMb,
    after?.privateMb ?? null,
    comparable,
  );
  const workers = takenAndReturned(
    before?.workersMb ?? null,
    session.highestWorkersMb,
    after?.workersMb ?? null,
    comparable,
  );
  return {
    private_before_mb: before?.privateMb ?? null,
    private_highest_mb: session.highestMb,
    private_before_cleanup_mb: beforeCleanup?.privateMb ?? null,
    private_after_mb: after?.privateMb ?? null,
    taken_mb: all.taken,
    returned_mb: all.returned,
    workers_taken_mb: workers.taken,
    workers_returned_mb: workers.returned,
    workers_returned_percent: workers.percent,
    recycled_meanwhile: recycled,
    returned_percent: all.percent,
  };
}

function takenAndReturned(
  before: number | null,
  highest: number | null,
  after: number | null,
  comparable: boolean,
) {
  const taken = highest === null || before === null ? null : highest - before;
  const returned = highest === null || after === null ? null : highest - after;
  const tells = taken !== null && returned !== null && taken >= THRESHOLDS.takenMb;
  return { taken, returned, percent: tells && comparable ? (100 * returned) / taken : null };
}

/**
 * Whether workers were recycled during the session, so that its readings do not compare: the number of processes
 * was unusual, or the count of users since the last recycle fell.
 */
function recycledMeanwhile({ processCounts, usersFell }: SessionRun, usual: number): boolean {
  return usersFell || processCounts.some((count) => count !== usual);
}

function analyseLoad(run: LoadRun, sessions: readonly SessionFigures[]): LoadFigures {
  const { plan, requestTotals: totals } = run;
  const sum = (pick: (session: SessionFigures) => number) =>
    sessions.reduce((total, session) => total + pick(session), 0);
  const played = sum((session) => session.users);
  const successful = sum((session) => session.users_successful);
  const playMs = sum((session) => session.play_ms);
  // If time or refusals end the run, the plan is what was played.
  const planned = plan.sessions ?? sessions.length;
  const users = plan.sessions === null ? played : planned * plan.users;
  return {
    sessions_planned: planned,
    sessions_played: sessions.length,
    users_planned: users,
    users_played: played,
    users_successful: successful,
    users_failed: sum((session) => session.users_failed),
    users_unfinished: sum((session) => session.users_unfinished),
    users_successful_percent: played === 0 ? null : (100 * successful) / played,
    requests_planned: users * plan.requests,
    requests_sent: totals.sent,
    requests_ok: totals.ok,
    requests_failed: totals.failed,
    distinct_texts: totals.distinctTexts,
    repeats: totals.sent - totals.distinctTexts,
    answered_by: tally(totals.tiers).map(([tier, requests]) => ({ tier, requests })),
    failures: tally(totals.codes).map(([code, requests]) => ({ code, requests })),
    duration_ms: run.durationMs,
    requests_per_s: playMs > 0 ? (totals.ok * 1000) / playMs : null,
    response: describeSampled(
      totals.response,
      run.requests.items.filter((row) => row.ok).map((row) => row.ms),
    ),
    omission: analyseOmission(run),
    session_play: describe(sessions.filter((one) => one.id !== null).map((one) => one.play_ms)),
  };
}

/** Most frequent first. */
function tally(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

function analyseLabels({ labelled, correct }: RequestTotals): LabelFigures | null {
  const interval = wilson(correct, labelled);
  if (interval === null) return null;
  return {
    labelled,
    correct,
    accuracy_percent: (100 * correct) / labelled,
    low_percent: 100 * interval.low,
    high_percent: 100 * interval.high,
  };
}

function analyseCleanup(run: LoadRun, sessions: readonly SessionFigures[]): CleanupFigures {
  const receipts = run.sessions.map((session) => session.receipt).filter((one) => one !== null);
  const numbers = (values: readonly (number | null)[]) =>
    describe(values.filter((value) => value !== null));
  const duration = numbers(receipts.map((receipt) => receipt.duration_ms));
  const judged = sessions.filter((session) => session.returned_percent !== null);
  const shares = judged.map((session) => session.returned_percent ?? 0);
  const worst = judged.reduce<SessionFigures | null>(
    (low, one) => ((one.returned_percent ?? 0) < (low?.returned_percent ?? Infinity) ? one : low),
    null,
  );
  return {
    due: run.sessions.filter((session) => session.id !== null).length,
    executed: receipts.length,
    complete: sessions.filter((session) => session.receipt_complete).length,
    duration,
    end_request: numbers(sessions.map((session) => session.end_request_ms)),
    duration_variation_percent:
      duration === null || duration.mean === 0 ? null : (100 * duration.sd) / duration.mean,
    freed: numbers(receipts.map((receipt) => receipt.freed_mb)),
    freed_private: numbers(receipts.map((receipt) => receipt.freed_private_mb)),
    freed_nothing: sessions
      .filter((one) => one.freed_private_mb !== null && one.freed_private_mb <= 0)
      .map((one) => one.session),
    judged_sessions: judged.length,
    returned_median_percent: shares.length === 0 ? null : median(shares),
    returned_worst_percent: worst?.returned_percent ?? null,
    returned_worst_session: worst?.session ?? null,
  };
}

/**
 * Response times after a cleanup against others. Each user's first request follows a cleanup and waits for what it
 * unloaded. These requests are sent at the same moment, so they are compared with the request in the middle of each session that is
 * also sent at the same moment; in an open loop, with all later ones. The first session's first requests follow no
 * cleanup and are in neither sample.
 */
function analyseSpeed({ plan, requests }: LoadRun): SpeedFigures {
  const control = controlRequest(plan);
  const near: number[] = [];
  const others: number[] = [];
  for (const { ok, request, session, ms } of requests.items) {
    if (!ok) continue;
    if (request === 1) {
      if (session > 1) near.push(ms);
    } else if (control === null || request === control) others.push(ms);
  }
  const test = mannWhitney(near, others);
  return {
    after_cleanup: describe(near),
    others: describe(others),
    shift_ms: test?.shift ?? null,
    low_ms: test?.interval.low ?? null,
    high_ms: test?.interval.high ?? null,
    p: test?.p ?? null,
  };
}
