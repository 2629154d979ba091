import { PLANS, type Plan, PROFILES, parseDuration } from '../proof/play/plan.js';
import { SettingError } from '../settings/setting.js';
import { countFlag } from './flags.js';

/** The flags of `plimsoll prove` that define the load. */
export interface PlanFlags {
  readonly profile: string;
  readonly sessions?: string;
  readonly duration?: string;
  readonly users?: string;
  readonly requests?: string;
  readonly rate?: string;
}

/** The profile's plan, overridden by the flags. @throws SettingError */
export function planFrom(flags: PlanFlags): Plan {
  const profile = PROFILES.find((name) => name === flags.profile);
  if (profile === undefined) {
    throw new SettingError(`--profile ${flags.profile}: it takes ${PROFILES.join(', ')}`);
  }
  const usual = PLANS[profile];
  const given = <T>(name: string, written: string | undefined, otherwise: T) =>
    written === undefined ? otherwise : countFlag(name, written);
  return {
    profile,
    sessions: given('sessions', flags.sessions, usual.sessions),
    durationMs: flags.duration === undefined ? usual.durationMs : durationOf(flags.duration),
    users: given('users', flags.users, usual.users),
    requests: given('requests', flags.requests, usual.requests),
    ratePerS: given('rate', flags.rate, usual.ratePerS),
  };
}

function durationOf(written: string): number {
  const found = parseDuration(written);
  // A timer of Node.js takes at most 24.8 days, and the report is written after the end.
  if (found !== undefined && found <= 20 * 86_400_000) return found;
  throw new SettingError(`--duration ${written}: it takes 90s, 30m, 1h or 2d, at most 20d`);
}
