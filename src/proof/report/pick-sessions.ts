/** Which sessions of a long run a report shows. Pure. */

import { count } from '../format.js';
import type { SessionFigures } from '../judge/figures.js';

/** Rows of a table of sessions. */
export const MOST_ROWS = 40;

/**
 * All of them if they are few; otherwise, in order:
 *
 * 1. those with the least memory returned, the slowest cleanup and the slowest answers;
 * 2. those with a problem, up to a third of the rows;
 * 3. the first and the last ones.
 */
export function pickSessions(
  sessions: readonly SessionFigures[],
  most: number,
): readonly SessionFigures[] {
  if (sessions.length <= most) return sessions;
  const picked = new Set<SessionFigures>();
  const extreme = (pick: (one: SessionFigures) => number | null) => {
    const found = sessions.filter((one) => pick(one) !== null);
    const [first] = found;
    if (first === undefined) return;
    picked.add(
      found.reduce((worst, one) => ((pick(one) ?? 0) > (pick(worst) ?? 0) ? one : worst), first),
    );
  };
  extreme((one) => (one.returned_percent === null ? null : -one.returned_percent));
  extreme((one) => one.receipt_ms);
  extreme((one) => one.response?.max ?? null);
  const odd = sessions.filter(
    (one) => one.state !== 'ended' || one.requests_failed > 0 || !one.receipt_complete,
  );
  for (const one of odd.slice(0, Math.floor(most / 3))) picked.add(one);
  for (let from = 0; picked.size < most; from += 1) {
    const [first, last] = [sessions[from], sessions.at(-1 - from)];
    if (first !== undefined) picked.add(first);
    if (last !== undefined && picked.size < most) picked.add(last);
  }
  return [...picked].sort((a, b) => a.session - b.session);
}

/** A line that says how many are not shown; nothing if all are. */
export function leftOut(sessions: readonly SessionFigures[], most: number): readonly string[] {
  if (sessions.length <= most) return [];
  const words = `Of ${count(sessions.length)} sessions ${count(most)} are shown: the first, the last, the worst, and what did not go as it should. All stand in \`report.json\`.`;
  return ['', words, ''];
}
