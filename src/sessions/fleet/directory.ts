/** What the registry needs to know of sessions that several servers share. */
import type { SessionPart } from '../../contract/fleet.js';

/** Why a session of the fleet ended. */
export type SharedEnd = 'ended by the caller' | 'idle' | 'server stopped';

/** What makes a session the same on every server. Times by the clock of the server that opened it. */
export interface SharedFacts {
  readonly id: string;
  readonly maxUsers: number;
  /** Milliseconds since 1970. */
  readonly openedAtMs: number;
  readonly idleTimeoutMs: number;
}

/** Users of a session on all servers together. */
export interface SharedCount {
  readonly users: number;
  /** Users beyond the session's number, that were let in while Redis did not answer. */
  readonly over: number;
}

/**
 * What the directory says to a user who is new here:
 *
 * - `seated`: counted, on every server; by this for the first time if `isNew`.
 * - `full`, `ended`, `unknown`: by what Redis has.
 * - `away`: Redis does not answer.
 */
export type Joined =
  | {
      readonly kind: 'seated';
      readonly facts: SharedFacts;
      readonly count: SharedCount;
      readonly isNew: boolean;
    }
  | { readonly kind: 'full'; readonly maxUsers: number }
  | { readonly kind: 'ended'; readonly cause: SharedEnd }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'away'; readonly reason: string };

/** A session as the fleet has it. */
export interface SharedSession {
  readonly facts: SharedFacts;
  readonly state: 'open' | 'ended';
  readonly cause: SharedEnd | null;
  readonly endedAtMs: number | null;
  readonly count: SharedCount;
  readonly parts: readonly SessionPart[];
}

/** The part of a server in a session, under a key that no other part has. */
export interface OwnPart {
  readonly key: string;
  readonly part: SessionPart;
}

/** The directory of the sessions that the servers of a fleet share. No method rejects. */
export interface SessionDirectory {
  /** Why Redis does not answer; empty while it does. */
  readonly away: string;
  /** Id and name of this server. */
  readonly server: { readonly id: string; readonly name: string };
  /** Counts a user in a session, if it has room. Waits for Redis at most 500 ms. */
  join(session: string, user: string): Promise<Joined>;
  /** Takes back the seat of a user who was new, and is refused after all. Where Redis does not answer the seat stays. */
  unseat(session: string, user: string): Promise<void>;
  /** What the database has of a session that Redis does not: open and shared, or nothing. */
  remembered(session: string): Promise<SharedFacts | undefined>;
  /** Makes a new session known to all. Where Redis is away the next report does. */
  opened(facts: SharedFacts): Promise<void>;
  /**
   * Ends a session for all servers; where Redis is away, as soon as it is back.
   *
   * @param facts where this server has a part in it.
   */
  end(
    session: string,
    cause: SharedEnd,
    facts: SharedFacts | undefined,
  ): Promise<'ended' | 'unknown' | 'away'>;
  /**
   * Keeps what this server did in a session, once that is over.
   *
   * @param isLeaving this server stops: the session ends with its last server.
   * @returns the session with every part; undefined where Redis is away: it then gets the part later.
   */
  release(facts: SharedFacts, own: OwnPart, isLeaving: boolean): Promise<SharedSession | undefined>;
  /** A session with every part; undefined where Redis has none or does not answer. */
  describe(session: string): Promise<SharedSession | undefined>;
}

/** A shared session that this server holds, as the reports see it. */
export interface HeldSession {
  readonly facts: SharedFacts;
  /** Since its last request here began or ended; 0 while one runs. */
  readonly idleMs: number;
  /** Another number than before: there is news of its part. */
  readonly changes: number;
  /** Names; what is told of them is decided later. */
  readonly users: () => readonly string[];
  readonly own: () => OwnPart;
}
