/** Sessions of a fleet as callers see them: what every server did in them, put together. */
import { SESSION_PART_STATES, type SessionPart } from '../../contract/fleet.js';
import { isNumber, isOneOf, isText, orNull, shapeOf } from '../../contract/schema/shape.js';
import type * as contract from '../../contract/sessions.js';
import { toInstant, toInstantOrNull, toMs } from '../../contract/units.js';
import { isShownReceipt, shownReceipt } from '../../memory/receipt.js';
import type { SessionView } from '../session.js';
import type { OwnPart, SessionDirectory, SharedCount, SharedSession } from './directory.js';

type Server = SessionDirectory['server'];

/** This server's part in a session. */
export function ownPartOf(session: SessionView, { id: server, name }: Server): OwnPart {
  const { state, requests, failures, latency, shared, cleanup } = session;
  const joinedAtMs = shared?.joinedAtMs ?? session.openedAtMs;
  return {
    key: `${server}:${joinedAtMs.toString(36)}`,
    part: {
      ...{ server, name, state, users: session.users, requests, failures },
      p50_ms: latency === null ? null : toMs(latency.p50Ms),
      p99_ms: latency === null ? null : toMs(latency.p99Ms),
      joined_at: toInstant(joinedAtMs),
      ended_at: toInstantOrNull(session.endedAtMs),
      end_cause: session.endCause,
      cleanup: cleanup === null ? null : shownReceipt(cleanup),
    },
  };
}

const isPart = shapeOf<SessionPart>({
  ...{ server: isText, name: isText, state: isOneOf(SESSION_PART_STATES) },
  ...{ users: isNumber, requests: isNumber, failures: isNumber },
  ...{ p50_ms: orNull(isNumber), p99_ms: orNull(isNumber) },
  ...{ joined_at: isText, ended_at: orNull(isText), end_cause: orNull(isText) },
  cleanup: orNull(isShownReceipt),
});

/** A part as another server wrote it; undefined for what is none: that server may be of another version. */
export function readPart(written: string): SessionPart | undefined {
  try {
    const part: unknown = JSON.parse(written);
    return isPart(part) ? part : undefined;
  } catch {
    return undefined;
  }
}

/** What a server has of a session that it has a part in. */
export interface OwnShown {
  readonly session: contract.SessionView;
  readonly part: SessionPart;
  /** Users beyond the session's number, as far as they are known here. */
  readonly over: number;
}

/**
 * A session with the parts of all servers.
 *
 * @param own its part is newer than the one in the directory.
 * @param away why the directory does not answer; empty while it does.
 */
export function togetherOf(
  own: OwnShown,
  fleet: SharedSession | undefined,
  away: string,
): contract.SessionView {
  const base = fleet === undefined ? own.session : { ...own.session, ...stateOf(own, fleet) };
  const others = (fleet?.parts ?? []).filter(
    ({ server, joined_at }) => server !== own.part.server || joined_at !== own.part.joined_at,
  );
  const count = {
    users: Math.max(base.users, fleet?.count.users ?? 0),
    over: Math.max(own.over, fleet?.count.over ?? 0),
  };
  return withParts(base, [...others, own.part], count, away);
}

/** A session in which this server has no part. */
export function elsewhereOf(fleet: SharedSession): contract.SessionView {
  const { facts, state, cause, endedAtMs, count, parts } = fleet;
  const isOver = state === 'ended';
  const isCleaned = parts.every(({ state: of }) => of === 'ended' || of === 'lost');
  const base: contract.SessionView = {
    ...{ id: facts.id, max_users: facts.maxUsers, users: count.users },
    state: isOver && !isCleaned ? 'ending' : state,
    ...{ requests: 0, failures: 0, p50_ms: null, p99_ms: null },
    opened_at: toInstant(facts.openedAtMs),
    ambient: false,
    ended_at: isOver ? toInstantOrNull(endedAtMs) : null,
    end_cause: isOver ? cause : null,
    taken_mb: null,
    cleanup: null,
  };
  return withParts(base, parts, count, '');
}

function withParts(
  base: contract.SessionView,
  parts: readonly SessionPart[],
  { users, over }: SharedCount,
  away: string,
): contract.SessionView {
  const servers = [...parts].sort((a, b) => a.joined_at.localeCompare(b.joined_at));
  const sum = (of: (part: SessionPart) => number) =>
    servers.reduce((total, part) => total + of(part), 0);
  // Percentiles of several servers cannot be put together; of one they are the session's.
  const only = servers.length === 1 ? servers[0] : undefined;
  return {
    ...base,
    ...(only === undefined ? {} : { p50_ms: only.p50_ms, p99_ms: only.p99_ms }),
    users,
    requests: sum(({ requests }) => requests),
    failures: sum(({ failures }) => failures),
    cleanup: base.cleanup ?? servers.find(({ cleanup }) => cleanup !== null)?.cleanup ?? null,
    fleet: {
      state: away === '' ? 'shared' : 'alone',
      reason: away === '' ? null : away,
      over_admitted: over,
      servers,
    },
  };
}

/**
 * 1. The fleet's session goes on, and the part here is over: it is open.
 * 2. It has ended, and the part here is still cleaned up: it is ending.
 * 3. Else as it is here.
 */
function stateOf(
  { session: base }: OwnShown,
  { state, cause, endedAtMs }: SharedSession,
): Pick<contract.SessionView, 'state' | 'ended_at' | 'end_cause'> {
  const { ended_at, end_cause } = base;
  if (state === 'open' && base.state === 'ended') {
    return { state: 'open', ended_at: null, end_cause: null }; // 1
  }
  if (state === 'ended' && base.state === 'open') {
    return { state: 'ending', ended_at: null, end_cause: cause }; // 2
  }
  if (state === 'ended' && base.state === 'ended') {
    return { state, ended_at: ended_at ?? toInstantOrNull(endedAtMs), end_cause: cause };
  }
  return { state: base.state, ended_at, end_cause }; // 3
}
