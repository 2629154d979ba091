/**
 * The published figures of the run that Plimsoll's proof is set beside: a Python backend on an AWS
 * t3.large, load-tested for its memory management in August 2025.
 */

import { mean } from '../statistics.js';
import type { Figures } from './figures.js';

export const REFERENCE = {
  cores: 2,
  total_mb: 7811,
  sessions: 5,
  users: 8,
  users_successful_percent: 100,
  /** Each session's time. */
  session_ms: [10_940, 10_560, 10_910, 10_220, 11_990],
  response_mean_ms: 840,
  cleanup_ms: 6000,
  /** Server memory used before and after each cleanup of which there is evidence. */
  cleanups: [
    { before_mb: 724, after_mb: 725, freed_mb: -1 },
    { before_mb: 726, after_mb: 727, freed_mb: -1 },
    { before_mb: 722, after_mb: 723, freed_mb: -1 },
    { before_mb: 723, after_mb: 725, freed_mb: -2 },
  ],
  used_min_percent: 9.24,
  used_max_percent: 9.31,
} as const;

export type Unit = 'count' | 'percent' | 'ms' | 'mb';

export interface ComparisonRow {
  readonly figure: string;
  readonly unit: Unit;
  readonly reference: number | null;
  readonly here: number | null;
}

/** Our figures beside the reference's; null where one was not measured. */
export function compareWithReference(figures: Figures): readonly ComparisonRow[] {
  const { load, cleanup, memory } = figures;
  const { cleanups } = REFERENCE;
  const used = cleanups.flatMap(({ before_mb, after_mb }) => [before_mb, after_mb]);
  const row = (figure: string, unit: Unit, reference: number | null, here: number | null) => ({
    figure,
    unit,
    reference,
    here,
  });
  return [
    row('sessions', 'count', REFERENCE.sessions, load.sessions_played),
    row('users', 'count', REFERENCE.sessions * REFERENCE.users, load.users_played),
    row(
      'users served',
      'percent',
      REFERENCE.users_successful_percent,
      load.users_successful_percent,
    ),
    row('session time, mean', 'ms', mean(REFERENCE.session_ms), load.session_play?.mean ?? null),
    row('response time, mean', 'ms', REFERENCE.response_mean_ms, load.response?.mean ?? null),
    row('response time, p99', 'ms', null, load.response?.p99 ?? null),
    row('cleanup, mean', 'ms', REFERENCE.cleanup_ms, cleanup.duration?.mean ?? null),
    row('cleanups with before and after', 'count', cleanups.length, cleanup.complete),
    row(
      'freed by a cleanup, server used, mean',
      'mb',
      mean(cleanups.map((one) => one.freed_mb)),
      cleanup.freed?.mean ?? null,
    ),
    row('freed by a cleanup, private, mean', 'mb', null, cleanup.freed_private?.mean ?? null),
    row(
      'came back of what a session took, median',
      'percent',
      null,
      cleanup.returned_median_percent,
    ),
    row('came back of what a session took, worst', 'percent', null, cleanup.returned_worst_percent),
    row('server used, lowest', 'mb', Math.min(...used), memory.used?.min_mb ?? null),
    row('server used, highest', 'mb', Math.max(...used), memory.used?.max_mb ?? null),
    row(
      'server used, lowest share',
      'percent',
      REFERENCE.used_min_percent,
      memory.used?.min_share_percent ?? null,
    ),
    row(
      'server used, highest share',
      'percent',
      REFERENCE.used_max_percent,
      memory.used?.max_share_percent ?? null,
    ),
  ];
}
