/** Sessions as callers see them. */
import type * as contract from '../contract/sessions.js';
import { toInstant, toInstantOrNull, toMbOrNull, toMs } from '../contract/units.js';
import { shownReceipt } from '../memory/receipt.js';
import type { SessionView } from './session.js';

/** A session as callers see it, and as the store keeps it. */
export function shownSession(session: SessionView): contract.SessionView {
  const { cleanup } = session;
  return {
    ...shownOpen(session),
    ...shownEnd(session),
    cleanup: cleanup === null ? null : shownReceipt(cleanup),
  };
}

/** What there is to say of a session while it is open. */
export function shownOpen(session: SessionView): contract.OpenSessionView {
  const { id, state, users, requests, failures, latency } = session;
  return {
    ...{ id, state, max_users: session.maxUsers, users, requests, failures },
    p50_ms: latency === null ? null : toMs(latency.p50Ms),
    p99_ms: latency === null ? null : toMs(latency.p99Ms),
    opened_at: toInstant(session.openedAtMs),
  };
}

/** A session that is over, without its cleanup. */
export function shownEnded(session: SessionView): contract.EndedSession {
  return { ...shownOpen(session), ...shownEnd(session) };
}

function shownEnd(session: SessionView) {
  return {
    ambient: session.ambient,
    ended_at: toInstantOrNull(session.endedAtMs),
    end_cause: session.endCause,
    taken_mb: toMbOrNull(session.takenBytes),
  };
}

/**
 * A session that was stored, perhaps by an earlier version: what that did not know is null.
 *
 * @param body what {@link shownSession} gave then.
 */
export function storedSession(body: unknown): contract.SessionView {
  const later = { p50_ms: null, p99_ms: null, taken_mb: null };
  return { ...later, ...(body as contract.SessionView) };
}
