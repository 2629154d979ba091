/** How far a ramp came. Pure. */
import { ERRORS } from '../../errors.js';
import { plural } from '../format.js';
import type { LoadRun } from '../play/run.js';
import type { RampFigures } from './figures.js';

/** Statuses with which a server refuses load. */
const REFUSALS: readonly number[] = [429, 503, 507];
/** Retryable, but not refusals: work was lost. */
const FAULTS: readonly string[] = ['WORKER_LOST'];

export function analyseRamp({ plan, sessions, requestTotals }: LoadRun): RampFigures | null {
  if (plan.profile !== 'ramp') return null;
  const at = sessions.findIndex(({ users }) => users.includes('failed'));
  const climbed = at === -1 ? sessions : sessions.slice(0, at);
  const recovery = at === -1 ? undefined : sessions[at + 1];
  const lost = [...requestTotals.codes].filter(([code]) => !isRefusal(code));
  const closed = sessions.filter(
    ({ id, state, problem }) => id === null && state !== 'stopped' && !isRefusal(codeIn(problem)),
  );
  return {
    served_users: climbed.reduce((most, { users }) => Math.max(most, users.length), 0),
    refused_users: sessions[at]?.users.length ?? null,
    unclean: [
      ...lost.map(([code, n]) => `${plural(n, 'request')} lost: ${code}`),
      ...closed.map(({ number, problem }) => `session ${number} was not opened: ${problem}`),
    ],
    recovery_users: recovery?.users.length ?? null,
    recovery_served: recovery?.users.filter((user) => user === 'successful').length ?? 0,
  };
}

function isRefusal(code: string): boolean {
  const error = Object.entries(ERRORS).find(([name]) => name === code)?.[1];
  if (error === undefined || FAULTS.includes(code)) return false;
  return error.retryable && REFUSALS.includes(error.status);
}

/** The code at the beginning of a problem. */
function codeIn(problem: string | null): string {
  return problem?.split(':')[0] ?? '';
}
