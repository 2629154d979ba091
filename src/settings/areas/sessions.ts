import { integer } from '../setting.js';

const HOUR_MS = 3_600_000;

/** The settings of sessions. */
export const SESSION_SETTINGS = {
  'session.max_users': integer({
    default: 8,
    min: 1,
    max: 10_000,
    about: 'Users of one session.',
  }),
  'session.idle_timeout_ms': integer({
    default: 30_000,
    min: 50,
    max: 24 * HOUR_MS,
    unit: 'ms',
    about: 'A session that is idle for this long ends by itself.',
  }),
  'session.max_open': integer({
    default: 1000,
    min: 1,
    max: 100_000,
    about: 'Open sessions; more are refused with 503.',
  }),
} as const;
