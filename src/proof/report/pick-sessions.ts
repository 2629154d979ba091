/** Which sessions of a long run a person gets to see. Pure. */

import { count } from '../format.js';
import type { SessionFigures } from '../judge/figures.js';

/** Rows of a table of sessions. */
export const MOST_ROWS = 40;

/**
 * All of them when they are few; else, in order:
 *
 * 1. the one that gave back the least, the one with the slowest cleanup and the slowest answers;
 * 2. those that did not go as they should, up to a third of the room;
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

/** A line on what is not shown; nothing when all is. */
export function leftOut(sessions: readonly SessionFigures[], most: number): readonly string[] {
  if (sessions.length <= most) return [];
  const words = `Of ${count(sessions.length)} sessions ${count(most)} are shown: the first, the last, the worst, and what did not go as it should. All stand in \`report.json\`.`;
  return ['', words, ''];
}
