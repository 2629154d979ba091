/** Sessions as callers see them. */
import {
  isFlag,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  orNull,
  shapeOf,
} from '../contract/schema/shape.js';
import * as contract from '../contract/sessions.js';
import { toInstant, toInstantOrNull, toMbOrNull, toMs } from '../contract/units.js';
import { isJobShard, isShownReceipt, shownReceipt } from '../memory/receipt.js';
import type { SessionDirectory, SharedSession } from './fleet/directory.js';
import { ownPartOf, togetherOf } from './fleet/parts.js';
import type { SessionView } from './session.js';

/** A session as this server has it; one that servers share is put together by {@link shownShared}. */
export function shownSession(session: SessionView): contract.SessionView {
  const { cleanup } = session;
  return {
    ...shownOpen(session),
    ...shownEnd(session),
    cleanup: cleanup === null ? null : shownReceipt(cleanup),
  };
}

/**
 * A session that servers share, with what this server knows of the others.
 *
 * @param fleet the session in the directory; by default what it was when the part here ended.
 */
export function shownShared(
  session: SessionView,
  directory: Pick<SessionDirectory, 'server' | 'away'>,
  fleet: SharedSession | undefined = session.shared?.left ?? undefined,
): contract.SessionView {
  const { part } = ownPartOf(session, directory.server);
  const { users, over } = session.shared ?? { users: session.users, over: 0 };
  const own = { session: { ...shownSession(session), users }, part, over };
  return togetherOf(own, fleet, directory.away);
}

/** What there is to say of a session while it is open. */
export function shownOpen(session: SessionView): contract.OpenSessionView {
  const { id, state, users, requests, failures, latency } = session;
  return {
    ...{ id, state, max_users: session.maxUsers, users, requests, failures },
    p50_ms: latency === null ? null : toMs(latency.p50Ms),
    p99_ms: latency === null ? null : toMs(latency.p99Ms),
    opened_at: toInstant(session.openedAtMs),
    ...(session.job === undefined ? {} : { job: session.job }),
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

type Later = 'p50_ms' | 'p99_ms' | 'taken_mb';
/** Fields of the first version, and those of later ones where they are there. */
const isStored = shapeOf<
  Omit<contract.SessionView, Later | 'fleet'> & { [K in Later]?: number | null }
>({
  ...{ id: isText, state: isOneOf(contract.SESSION_STATES), ambient: isFlag },
  ...{ max_users: isNumber, users: isNumber, requests: isNumber, failures: isNumber },
  ...{ opened_at: isText, ended_at: orNull(isText), end_cause: orNull(isText) },
  p50_ms: orMissing(orNull(isNumber)),
  p99_ms: orMissing(orNull(isNumber)),
  taken_mb: orMissing(orNull(isNumber)),
  job: orMissing(isJobShard),
  cleanup: orNull(isShownReceipt),
});

/**
 * A session that was stored, perhaps by an earlier version: what that did not know is null.
 *
 * @param body what {@link shownSession} gave then.
 * @returns undefined if it is none
 */
export function storedSession(body: unknown): contract.SessionView | undefined {
  if (!isStored(body)) return undefined;
  return {
    ...body,
    p50_ms: body.p50_ms ?? null,
    p99_ms: body.p99_ms ?? null,
    taken_mb: body.taken_mb ?? null,
  };
}
