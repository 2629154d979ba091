/**
 * From figures to a verdict. Pure.
 *
 * A criterion holds, does not hold, or cannot be told. The verdict is `passed` only when
 *
 * 1. no criterion is false, and
 * 2. every criterion that any run can tell has been told. A leak and what cleanups give back need
 *    enough sessions and enough memory taken: left open, they are listed, but do not fail the verdict.
 */

import { count, list, mb, notes, percent, plural } from '../../format.js';
import type { ProfileName } from '../../play/plan.js';
import type { Comparison } from '../comparison.js';
import type { Figures, SessionFigures } from '../figures.js';
import { notRegressed } from './compare.js';
import type { Criterion, Verdict } from './criterion.js';
import { noLeak } from './leak.js';
import { overcame, refusedCleanly, servedAgain } from './profile.js';
import { THRESHOLDS } from './thresholds.js';
import { cleanupCost, cleanupTime, responseTime } from './time.js';

export interface Judgement {
  readonly verdict: Verdict;
  readonly criteria: readonly Criterion[];
}

export interface JudgeOptions {
  readonly profile: ProfileName;
  /** Why the run did not finish, null when it did. */
  readonly stopped: string | null;
  /** Share of labelled texts that should be classified right, from 0 to 1; null asks for none. */
  readonly expectedAccuracy: number | null;
  /** Set beside an earlier report, if there is one. */
  readonly comparison: Comparison | null;
}

export function judge(figures: Figures, options: JudgeOptions): Judgement {
  const { stopped, profile, expectedAccuracy, comparison } = options;
  const criteria = [
    finished(figures, stopped),
    ...(profile === 'ramp'
      ? [refusedCleanly(figures), servedAgain(figures)]
      : [usersSuccessful(figures)]),
    ...(profile === 'chaos' ? [overcame(figures)] : []),
    cleanupsExecuted(figures),
    modelsUnloaded(figures),
    ...(profile === 'reference' ? [responseTime(figures)] : []),
    cleanupTime(figures),
    // A ramp has more users after each cleanup than before it; chaos slows whom it meets.
    ...(profile === 'ramp' || profile === 'chaos' ? [] : [cleanupCost(figures)]),
    ...(expectedAccuracy === null ? [] : [accuracy(figures, expectedAccuracy)]),
    noLeak(figures),
    givesBack(figures),
    ...(comparison === null ? [] : [notRegressed(comparison)]),
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

/**
 * 1. A model is still loaded although no other session was at work → false.
 * 2. It is still loaded while another session was → that session tells nothing.
 * 3. No session tells anything, or the models could not be read → cannot tell.
 */
function modelsUnloaded({ sessions }: Figures): Criterion {
  const used = sessions.filter((session) => session.models.length > 0);
  const unknown = used.filter((session) => session.models_still_loaded === null);
  const still = used.filter((session) => (session.models_still_loaded ?? []).length > 0);
  const inUse = still.filter((session) => (session.other_sessions ?? 0) > 0);
  const loaded = still.filter((session) => !inUse.includes(session));
  const ended = used.length - unknown.length - still.length;
  const models = (one: SessionFigures) => list(one.models_still_loaded ?? []);
  const exceptions = [
    ...loaded.map((one) => `session ${one.session}: ${models(one)}`),
    ...inUse.map(
      (one) =>
        `session ${one.session}: ${models(one)}, while ${plural(one.other_sessions ?? 0, 'session')} of other callers ${one.other_sessions === 1 ? 'was' : 'were'} at work`,
    ),
    ...unknown.map((one) => `session ${one.session}: the list of models could not be read`),
  ];
  return {
    id: 'models',
    claim: 'Every model was unloaded when its session had ended',
    how_tested:
      'The models that answered in a session are looked up in GET /v1/models right after its end; each must be `unloaded` (or `unprepared`, where only a cache answered). A model may stay while a session of another caller was at work within the last seconds; that session is left out.',
    threshold: 'all models of each session',
    value: notes(`after ${count(ended)} of ${plural(used.length, 'session')}`, exceptions),
    held: loaded.length > 0 ? false : ended === 0 || unknown.length > 0 ? 'cannot tell' : true,
    // Other callers' work is no fault of the server's.
    may_stay_open: loaded.length === 0 && unknown.length === 0 && inUse.length > 0,
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
      'From readings of private memory, of all processes and of the workers alone: taken = highest in the session − before it; returned = highest − after the cleanup. Sessions during which workers were recycled are left out, as old and new ones run side by side then; so are sessions beside which other callers were at work.',
    threshold: `something back (${percent(THRESHOLDS.returnedPercent)} or more) in each session that took ${mb(THRESHOLDS.takenMb)} or more, of its workers as of all processes`,
    value: `${shares}${emptied}`,
    held: judged.length === 0 ? 'cannot tell' : nothing.length === 0,
    may_stay_open: true,
  };
}

/** Of all processes together, or of the workers: the garbage of the main process must not stand in for them. */
function gaveNothing({ returned_percent: all, workers_returned_percent: workers }: SessionFigures) {
  const { returnedPercent: least } = THRESHOLDS;
  return (all ?? 100) < least || (workers ?? 100) < least;
}
