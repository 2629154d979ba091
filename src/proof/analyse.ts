/** From what a run collected to every figure of the report. Pure; no figure comes from anywhere else. */
import { analyseMemory } from './analyse-memory.js';
import { analyseTrends } from './analyse-trend.js';
import { analyseFeatures } from './features.js';
import type {
  CleanupFigures,
  Figures,
  LabelFigures,
  LoadFigures,
  SessionFigures,
  SpeedFigures,
} from './figures.js';
import { mannWhitney } from './rank-test.js';
import type { LoadRun, Reading, RequestRow, SessionRun } from './run.js';
import { describe, median, wilson } from './statistics.js';
import { THRESHOLDS } from './thresholds.js';

/**
 * States in which no worker holds a model; any other counts as loaded. `unprepared` has no mapped form
 * either: so a model stands whose answers all came from a cache.
 */
const UNLOADED: readonly string[] = ['unloaded', 'unprepared'];

export function analyse(run: LoadRun): Figures {
  const rows = bySession(run.requests);
  const readings = bySession(run.readings);
  const usual = usualProcesses(run.readings);
  const sessions = run.sessions.map((session) => {
    const { number } = session;
    return analyseSession(session, rows.get(number) ?? [], readings.get(number) ?? [], usual);
  });
  return {
    load: analyseLoad(run, sessions),
    labels: analyseLabels(run.requests),
    sessions,
    cleanup: analyseCleanup(run, sessions),
    speed: analyseSpeed(run.requests),
    memory: analyseMemory(run),
    ...analyseTrends(sessions),
    features: analyseFeatures(run.counters),
  };
}

/** Grouped once: a soak has thousands of sessions. */
function bySession<T extends { readonly session: number }>(
  items: readonly T[],
): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(item.session);
    if (group === undefined) groups.set(item.session, [item]);
    else group.push(item);
  }
  return groups;
}

function usualProcesses(readings: readonly Reading[]): number {
  return Number(tally(readings.map(({ processes }) => String(processes)))[0]?.[0] ?? 0);
}

function analyseSession(
  session: SessionRun,
  rows: readonly RequestRow[],
  readings: readonly Reading[],
  usual: number,
): SessionFigures {
  const ok = rows.filter((row) => row.ok);
  const playMs = session.playedMs - session.startedMs;
  const { receipt } = session;
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
    requests: rows.length,
    requests_ok: ok.length,
    requests_failed: rows.length - ok.length,
    requests_from_cache: ok.filter((row) => row.cached !== 'none').length,
    requests_per_s: playMs > 0 ? (ok.length * 1000) / playMs : null,
    response: describe(ok.map((row) => row.ms)),
    models: session.models,
    models_still_loaded: stillLoaded(session),
    ...privateMemory(session, readings, recycledMeanwhile(readings, usual)),
    users_since_recycle: session.after?.usersSinceRecycle ?? null,
    freed_mb: receipt?.freed_mb ?? null,
    freed_private_mb: receipt?.freed_private_mb ?? null,
    receipt_complete: receipt !== null && receipt.before !== null && receipt.after !== null,
  };
}

/** Models that answered but are not shown as unloaded; one that the list lacks is not proven unloaded. */
function stillLoaded(session: SessionRun): readonly string[] | null {
  const { modelsAfter } = session;
  if (modelsAfter === null) return null;
  return session.models.flatMap((id) => {
    const state = modelsAfter.find((model) => model.id === id)?.state ?? 'not listed';
    return UNLOADED.includes(state) ? [] : [`${id} (${state})`];
  });
}

function privateMemory(session: SessionRun, readings: readonly Reading[], recycled: boolean) {
  const before = session.before?.privateMb ?? null;
  const beforeCleanup = session.beforeCleanup?.privateMb ?? null;
  const after = session.after?.privateMb ?? null;
  let highest: number | null = null;
  for (const reading of readings) {
    if (reading.phase === 'after cleanup') continue;
    if (reading.privateMb !== null) highest = Math.max(highest ?? 0, reading.privateMb);
  }
  const taken = highest === null || before === null ? null : highest - before;
  const returned = highest === null || after === null ? null : highest - after;
  const tells = taken !== null && returned !== null && taken >= THRESHOLDS.takenMb;
  return {
    private_before_mb: before,
    private_highest_mb: highest,
    private_before_cleanup_mb: beforeCleanup,
    private_after_mb: after,
    taken_mb: taken,
    returned_mb: returned,
    recycled_meanwhile: recycled,
    returned_percent: tells && !recycled ? (100 * returned) / taken : null,
  };
}

/**
 * While old and new workers stand side by side, or have just changed places, readings do not compare: the
 * number of processes is not the usual one, or the count of users since the last recycle fell.
 */
function recycledMeanwhile(readings: readonly Reading[], usual: number): boolean {
  let users = 0;
  for (const { processes, usersSinceRecycle } of readings) {
    if (processes !== usual || (usersSinceRecycle ?? users) < users) return true;
    users = usersSinceRecycle ?? users;
  }
  return false;
}

function analyseLoad(run: LoadRun, sessions: readonly SessionFigures[]): LoadFigures {
  const { planned, requests } = run;
  const ok = requests.filter((row) => row.ok);
  const sum = (pick: (session: SessionFigures) => number) =>
    sessions.reduce((total, session) => total + pick(session), 0);
  const texts = new Set(requests.map((row) => run.inputSet.inputs[row.input]?.text));
  const played = sum((session) => session.users);
  const successful = sum((session) => session.users_successful);
  const playMs = sum((session) => session.play_ms);
  return {
    sessions_planned: planned.sessions,
    sessions_played: sessions.length,
    users_planned: planned.sessions * planned.users,
    users_played: played,
    users_successful: successful,
    users_failed: sum((session) => session.users_failed),
    users_unfinished: sum((session) => session.users_unfinished),
    users_successful_percent: played === 0 ? null : (100 * successful) / played,
    requests_planned: planned.sessions * planned.users * planned.requests,
    requests_sent: requests.length,
    requests_ok: ok.length,
    requests_failed: requests.length - ok.length,
    distinct_texts: texts.size,
    repeats: requests.length - texts.size,
    answered_by: tally(ok.map((row) => row.cached ?? 'none')).map(([tier, count]) => ({
      tier,
      requests: count,
    })),
    failures: tally(requests.filter((row) => !row.ok).map((row) => row.code ?? 'UNKNOWN')).map(
      ([code, count]) => ({ code, requests: count }),
    ),
    duration_ms: run.durationMs,
    requests_per_s: playMs > 0 ? (ok.length * 1000) / playMs : null,
    response: describe(ok.map((row) => row.ms)),
    session_play: describe(sessions.filter((one) => one.id !== null).map((one) => one.play_ms)),
  };
}

/** How often each value occurs, most frequent first. */
function tally(values: readonly string[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** Labels are compared without regard to case: `SPAM` and `spam` are one label. */
function analyseLabels(requests: readonly RequestRow[]): LabelFigures | null {
  const firstAnswers = new Map<number, boolean>();
  for (const row of requests) {
    if (!row.ok || row.label === null || row.expected === null) continue;
    if (firstAnswers.has(row.input)) continue;
    firstAnswers.set(row.input, row.label.toLowerCase() === row.expected.toLowerCase());
  }
  const labelled = firstAnswers.size;
  const correct = [...firstAnswers.values()].filter(Boolean).length;
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
 * Each user's first request in every session but the first followed a cleanup (and pays for what the
 * cleanup unloaded); all later requests did not. The first session's first requests followed none and
 * are in neither.
 */
function analyseSpeed(requests: readonly RequestRow[]): SpeedFigures {
  const seen = new Set<number>();
  const near: number[] = [];
  const others: number[] = [];
  for (const row of [...requests].sort((a, b) => a.startMs - b.startMs)) {
    const first = !seen.has(row.user);
    seen.add(row.user);
    if (!row.ok) continue;
    if (!first) others.push(row.ms);
    else if (row.session > 1) near.push(row.ms);
  }
  const test = mannWhitney(near, others);
  return {
    after_cleanup: describe(near),
    others: describe(others),
    shift_ms: test?.shift ?? null,
    p: test?.p ?? null,
  };
}
