/**
 * From figures to a verdict. Pure.
 *
 * A criterion holds, does not hold, or cannot be told. The verdict is `passed` only when
 *
 * 1. no criterion is false, and
 * 2. every criterion that any run can tell has been told. A leak and what cleanups give back need
 *    enough sessions and enough memory taken: left open, they are listed, but do not fail the verdict.
 */
import type { Criterion, Verdict } from './criterion.js';
import type { Figures, SessionFigures } from './figures.js';
import { count, list, mb, ms, notes, percent, plural } from './format.js';
import { noLeak } from './leak.js';
import { THRESHOLDS } from './thresholds.js';

export interface Judgement {
  readonly verdict: Verdict;
  readonly criteria: readonly Criterion[];
}

export interface JudgeOptions {
  /** Why the run did not finish, null when it did. */
  readonly stopped: string | null;
  /** Share of labelled texts that should be classified right, from 0 to 1; null asks for none. */
  readonly expectedAccuracy: number | null;
}

export function judge(figures: Figures, options: JudgeOptions): Judgement {
  const criteria = [
    finished(figures, options.stopped),
    usersSuccessful(figures),
    cleanupsExecuted(figures),
    modelsUnloaded(figures),
    responseTime(figures),
    cleanupTime(figures),
    ...(options.expectedAccuracy === null ? [] : [accuracy(figures, options.expectedAccuracy)]),
    noLeak(figures),
    givesBack(figures),
  ];
  const passed = criteria.every(
    ({ held, may_stay_open }) => held === true || (held === 'cannot tell' && may_stay_open),
  );
  return { verdict: passed ? 'passed' : 'failed', criteria };
}

function finished(figures: Figures, stopped: string | null): Criterion {
  const { sessions_planned, sessions_played } = figures.load;
  const found = `${count(sessions_played)} of ${plural(sessions_planned, 'session')} begun`;
  return {
    id: 'finished',
    claim: 'The run was played to its end',
    how_tested: 'Sessions begun against sessions planned, and whether anything stopped the run.',
    threshold: 'all sessions',
    value: stopped === null ? found : `${found}; ${stopped}`,
    held: stopped === null && sessions_played === sessions_planned,
    may_stay_open: false,
  };
}

function usersSuccessful({ load, sessions }: Figures): Criterion {
  const notOpened = sessions.filter((session) => session.state === 'not opened');
  const failures = [
    ...load.failures.map(({ code, requests }) => `${plural(requests, 'request')} failed: ${code}`),
    ...notOpened.map(({ session, problem }) => `session ${session} was not opened: ${problem}`),
    ...(load.users_unfinished > 0
      ? [`${plural(load.users_unfinished, 'user')} cut short by the stop`]
      : []),
  ];
  const found = `${count(load.users_successful)} of ${count(load.users_planned)} users`;
  return {
    id: 'users',
    claim: 'Every user was served',
    how_tested:
      'A user is successful when each of its requests got a 2xx reply with a label and a score. Nothing is retried; a lost connection or a timeout is a failure.',
    threshold: 'all users, all requests',
    value: notes(found, failures),
    held:
      load.users_failed > 0
        ? false
        : load.users_successful === load.users_planned
          ? true
          : 'cannot tell',
    may_stay_open: false,
  };
}

function cleanupsExecuted({ cleanup, sessions }: Figures): Criterion {
  const without = sessions.filter((one) => one.id !== null && !one.receipt_complete);
  const gaps = without.map(
    (one) =>
      `session ${one.session}: ${one.problem ?? 'the receipt lacks its before or its after'}`,
  );
  return {
    id: 'cleanups',
    claim: 'A cleanup ran after every session, with its evidence',
    how_tested:
      'The reply to the end of each session must hold a receipt with the memory before and after.',
    threshold: 'a full receipt for each session',
    value: notes(`${count(cleanup.complete)} of ${count(cleanup.due)}`, gaps),
    held: cleanup.due === 0 ? 'cannot tell' : cleanup.complete === cleanup.due,
    may_stay_open: false,
  };
}

function modelsUnloaded({ sessions }: Figures): Criterion {
  const used = sessions.filter((session) => session.models.length > 0);
  const unknown = used.filter((session) => session.models_still_loaded === null);
  const loaded = used.filter((session) => (session.models_still_loaded ?? []).length > 0);
  const ended = used.length - unknown.length - loaded.length;
  const exceptions = [
    ...loaded.map((one) => `session ${one.session}: ${list(one.models_still_loaded ?? [])}`),
    ...unknown.map((one) => `session ${one.session}: the list of models could not be read`),
  ];
  return {
    id: 'models',
    claim: 'Every model was unloaded when its session had ended',
    how_tested:
      'The models that answered in a session are looked up in GET /v1/models right after its end; each must be `unloaded` (or `unprepared`, where only a cache answered).',
    threshold: 'all models of each session',
    value: notes(`after ${count(ended)} of ${plural(used.length, 'session')}`, exceptions),
    held:
      loaded.length > 0 ? false : used.length === 0 || unknown.length > 0 ? 'cannot tell' : true,
    may_stay_open: false,
  };
}

function responseTime({ load }: Figures): Criterion {
  return {
    id: 'response',
    claim: 'Answers are ten times as fast as in the reference run',
    how_tested:
      'Mean over all successful requests, from sending to the last byte of the reply, as the client saw it.',
    threshold: `at most ${ms(THRESHOLDS.responseMs)}, a tenth of the reference's 0.84 s`,
    value: load.response === null ? 'no request succeeded' : ms(load.response.mean),
    held: load.response === null ? 'cannot tell' : load.response.mean <= THRESHOLDS.responseMs,
    may_stay_open: false,
  };
}

/** The longer of what the receipt says and what the client waited: the server does not time itself alone. */
function cleanupTime({ sessions }: Figures): Criterion {
  const times = sessions.flatMap((session) =>
    session.receipt_ms === null || session.end_request_ms === null
      ? []
      : [{ session: session.session, ms: Math.max(session.receipt_ms, session.end_request_ms) }],
  );
  const slowest = times.reduce((max, one) => (one.ms > max.ms ? one : max), { session: 0, ms: 0 });
  return {
    id: 'cleanup-time',
    claim: 'Each cleanup is ten times as fast as in the reference run',
    how_tested:
      "For each session the longer of the receipt's own duration and the time that the client waited for the end of the session.",
    threshold: `each at most ${ms(THRESHOLDS.cleanupMs)}, a tenth of the reference's 6 s`,
    value:
      times.length === 0
        ? 'no cleanup was timed'
        : `slowest ${ms(slowest.ms)}, in session ${slowest.session}`,
    held: times.length === 0 ? 'cannot tell' : slowest.ms <= THRESHOLDS.cleanupMs,
    may_stay_open: false,
  };
}

function accuracy({ labels }: Figures, expected: number): Criterion {
  return {
    id: 'labels',
    claim: 'The labels are as right as the model promises',
    how_tested:
      'First answers to distinct labelled texts against their labels. It does not hold when the whole 95 % interval (Wilson) lies below the expected accuracy.',
    threshold: `${percent(100 * expected)} expected`,
    value:
      labels === null
        ? 'no labelled text was answered'
        : `${percent(labels.accuracy_percent)} (${count(labels.correct)} of ${count(labels.labelled)}), interval ${percent(labels.low_percent)} to ${percent(labels.high_percent)}`,
    held: labels === null ? 'cannot tell' : labels.high_percent >= 100 * expected,
    may_stay_open: false,
  };
}

function givesBack({ cleanup, sessions }: Figures): Criterion {
  const judged = sessions.filter((session) => session.returned_percent !== null);
  const nothing = judged.filter(gaveNothing).map((session) => session.session);
  const { returned_median_percent: middle, returned_worst_percent: worst } = cleanup;
  const shares =
    middle === null || worst === null
      ? `no session took ${mb(THRESHOLDS.takenMb)} or more: nothing to give back that readings could show`
      : `median ${percent(middle)}, worst ${percent(worst)} (session ${cleanup.returned_worst_session}) of what ${plural(judged.length, 'session')} took`;
  const emptied = nothing.length === 0 ? '' : `; freed nothing in session ${list(nothing)}`;
  return {
    id: 'gives-back',
    claim: 'A cleanup gives back memory that its session took',
    how_tested:
      'From readings of private memory: taken = highest in the session − before it; returned = highest − after the cleanup. Sessions whose readings met a recycle of the workers are left out: old and new ones stand side by side then.',
    threshold: `something back (${percent(THRESHOLDS.returnedPercent)} or more) in each session that took ${mb(THRESHOLDS.takenMb)} or more`,
    value: `${shares}${emptied}`,
    held: judged.length === 0 ? 'cannot tell' : nothing.length === 0,
    may_stay_open: true,
  };
}

function gaveNothing(session: SessionFigures): boolean {
  return (session.returned_percent ?? 0) < THRESHOLDS.returnedPercent;
}
