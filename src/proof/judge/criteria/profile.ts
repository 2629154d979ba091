/** The criteria of the ramp and chaos profiles. Pure. */

import { count, list, notes, plural } from '../../format.js';
import type { Figures } from '../figures.js';
import type { Criterion } from './criterion.js';

export function refusedCleanly({ ramp, load }: Figures): Criterion {
  const head = {
    id: 'refusals',
    claim: 'What the server could not serve it refused, and dropped nothing',
    how_tested:
      "Users double from session to session until a request fails. Each failure must be one of the server's refusals for load (429, 503 or 507, with a code that it says may be tried again), no lost connection, no timeout, no fault.",
    threshold: 'refusals alone',
    may_stay_open: false,
  };
  if (ramp === null) return { ...head, value: 'no ramp was played', held: 'cannot tell' };
  const served = `${plural(ramp.served_users, 'user')} at once served`;
  if (ramp.refused_users === null) {
    return { ...head, value: `${served}, the most that were tried; none refused`, held: true };
  }
  const codes = load.failures.map(({ code, requests }) => `${code} ${count(requests)} times`);
  return {
    ...head,
    value: notes(`${served}, refused at ${count(ramp.refused_users)}`, [...codes, ...ramp.unclean]),
    held: ramp.unclean.length === 0,
  };
}

export function servedAgain({ ramp }: Figures): Criterion {
  return {
    id: 'recovery',
    claim: 'After it refused, the server served again',
    how_tested: 'One more session with a quarter of the users that were served last.',
    threshold: 'all its users',
    value:
      ramp === null || ramp.recovery_users === null
        ? 'it was never refused, or stopped before'
        : `${count(ramp.recovery_served)} of ${plural(ramp.recovery_users, 'user')}`,
    held:
      ramp === null || ramp.recovery_users === null
        ? 'cannot tell'
        : ramp.recovery_served === ramp.recovery_users,
    may_stay_open: true,
  };
}

export function overcame({ sessions }: Figures): Criterion {
  const disturbed = sessions.flatMap(({ session, disturbance }) =>
    disturbance === null ? [] : [{ session, ...disturbance }],
  );
  const kinds = [...new Set(disturbed.map(({ what }) => what))];
  const failed = disturbed
    .filter(({ overcome }) => !overcome)
    .map(({ session, what, detail }) => `session ${session}: ${what}, ${detail}`);
  const found = `${count(disturbed.length - failed.length)} of ${plural(disturbed.length, 'disturbance')} (${list(kinds)})`;
  return {
    id: 'disturbances',
    claim: 'The server overcame what was done to it',
    how_tested:
      'Every other session is disturbed: workers are killed, memory is taken by another program until the load line is near, connections to Redis and PostgreSQL are cut. Afterwards the workers must be ready again, the pressure normal, Redis and PostgreSQL in use. That nobody failed meanwhile is a criterion of its own.',
    threshold: 'every disturbance',
    value: disturbed.length === 0 ? 'nothing was disturbed' : notes(found, failed),
    held: disturbed.length === 0 ? 'cannot tell' : failed.length === 0,
    may_stay_open: false,
  };
}
