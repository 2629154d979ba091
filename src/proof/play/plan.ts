/** The plan of a run. Pure. */
import { count, plain, plural, seconds } from '../format.js';

export const PROFILES = ['reference', 'soak', 'ramp', 'chaos'] as const;
export type ProfileName = (typeof PROFILES)[number];

export interface Plan {
  readonly profile: ProfileName;
  /** Consecutive sessions; null: until the duration is over or, in a ramp, the server refuses. */
  readonly sessions: number | null;
  /** How long new sessions are started; null where their number ends the run. */
  readonly durationMs: number | null;
  /** Concurrent users in each session; in a ramp the maximum. */
  readonly users: number;
  /** Requests of each user, each with one text. */
  readonly requests: number;
  /**
   * Requests that are due each second, whether or not the server keeps up (an open loop); null: each user
   * sends the next request when the last one is answered (a closed loop).
   */
  readonly ratePerS: number | null;
}

/** Defaults of each profile. */
export const PLANS: Readonly<Record<ProfileName, Plan>> = {
  /** The reference run: 5 sessions of 8 users. */
  reference: {
    profile: 'reference',
    ...{ sessions: 5, durationMs: null, users: 8, requests: 10, ratePerS: null },
  },
  /** Sessions of some seconds each, so that a day of them still fits into a report. */
  soak: {
    profile: 'soak',
    ...{ sessions: null, durationMs: 3_600_000, users: 8, requests: 40, ratePerS: null },
  },
  /** Few requests: with thousands of users each one waits long. */
  ramp: {
    profile: 'ramp',
    ...{ sessions: null, durationMs: null, users: 8192, requests: 2, ratePerS: null },
  },
  /** Every other session is disturbed; see `chaos.ts`. */
  chaos: {
    profile: 'chaos',
    ...{ sessions: 12, durationMs: null, users: 8, requests: 40, ratePerS: null },
  },
};

/** Time beyond the duration for the last session and the report. */
const CLOSING_MS = 300_000;
const USUAL_LIMIT_MS = 1_800_000;

/** Default time limit of the whole run. */
export function usualTimeoutMs({ durationMs }: Plan): number {
  return durationMs === null ? USUAL_LIMIT_MS : durationMs + CLOSING_MS;
}

/** A ramp doubles from 1 up to the most; all other sessions have the same number. @param session from 1 */
export function usersOf({ profile, users }: Plan, session: number): number {
  return profile === 'ramp' ? Math.min(users, 2 ** (session - 1)) : users;
}

/**
 * The request, from 1, that all users of a session send at the same moment without a cleanup before it: the fair
 * control for the first requests after a cleanup, which are also sent at the same moment. Null in an open loop,
 * and where each user sends only one request.
 */
export function controlRequest({ requests, ratePerS }: Plan): number | null {
  return ratePerS !== null || requests < 2 ? null : Math.floor(requests / 2) + 1;
}

/** `90s`, `30m`, `1h`, `2d` in ms; undefined for anything else. */
export function parseDuration(written: string): number | undefined {
  const [, number, unit] = /^([1-9]\d{0,5})(s|m|h|d)$/.exec(written) ?? [];
  const scale = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''];
  return number === undefined || scale === undefined ? undefined : Number(number) * scale;
}

/** In words, as part of a sentence. */
export function describePlan(plan: Plan): string {
  const { profile, sessions, durationMs, users, requests, ratePerS } = plan;
  const each = `${plural(requests, 'request')} from each user`;
  const pace =
    ratePerS === null
      ? 'each user sends the next one when the last is answered (closed loop)'
      : `${plain(ratePerS)} of them due each second, answered or not (open loop)`;
  if (profile === 'ramp') {
    return `sessions of 1, 2, 4, … users, at most ${count(users)}, until the server refuses, ${each}, ${pace}`;
  }
  const much =
    sessions === null
      ? `sessions one after the other for ${seconds(durationMs)}`
      : `${plural(sessions, 'session')} one after the other${durationMs === null ? '' : `, for ${seconds(durationMs)} at most`}`;
  return `${much}, ${plural(users, 'concurrent user')} in each, ${each}, ${pace}`;
}
