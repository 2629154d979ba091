import type { SessionPart } from '../../contract/fleet.js';
import type {
  HeldSession,
  Joined,
  OwnPart,
  SessionDirectory,
  SharedCount,
  SharedEnd,
  SharedFacts,
  SharedSession,
} from './directory.js';
import { readPart } from './parts.js';
import { type FleetRedis, KEEP_MS, listOf, type Said } from './redis.js';
import { DESCRIBE, END, JOIN, RELEASE, REPORT, UNSEAT } from './scripts.js';

/** A new user's first request waits no longer for Redis. */
const JOIN_MS = 500;
/** What a caller waits for that is not a request to a model: opening, ending, looking. */
const CALL_MS = 1000;
/** Sessions of one report: Redis serves nobody else meanwhile, for about a millisecond. */
const REPORT_SESSIONS = 100;
/** Ends and parts that wait for Redis to come back; more are forgotten, the oldest first. */
const MAX_OWED = 10_000;
/** A server that has not been seen for so long has lost its part. */
const LOST_AFTER_MS = 10_000;

/** What is told of a session that this server holds. */
export interface ReportEvents {
  readonly onCount: (session: string, count: SharedCount, idleMs: number) => void;
  readonly onEnded: (session: string, cause: SharedEnd) => void;
  /** By this report a session has so many more users than it may have. */
  readonly onOver: (facts: SharedFacts, raised: number) => void;
}

/** The directory in Redis. */
export class RedisDirectory implements SessionDirectory {
  readonly #server: () => SessionDirectory['server'];
  readonly #redis: FleetRedis;
  readonly #remembered: (session: string) => Promise<SharedFacts | undefined>;
  /** What each session had changed when it was last reported; only of those whose users Redis has. */
  readonly #known = new Map<string, number>();
  /** Calls that Redis has not had yet, by what they are about. */
  readonly #owed = new Map<string, () => Promise<unknown>>();

  constructor(options: {
    /** Known once the server has its place in the data folder. */
    readonly server: () => SessionDirectory['server'];
    readonly redis: FleetRedis;
    /** What the database has of an open, shared session. */
    readonly remembered: (session: string) => Promise<SharedFacts | undefined>;
  }) {
    this.#server = options.server;
    this.#redis = options.redis;
    this.#remembered = options.remembered;
  }

  get server(): SessionDirectory['server'] {
    return this.#server();
  }

  get away(): string {
    return this.#redis.away;
  }

  async join(session: string, user: string): Promise<Joined> {
    if (this.away !== '') return { kind: 'away', reason: this.away };
    try {
      const hash = this.#redis.userHash(session, user);
      const said = await this.#redis.run(JOIN, [KEEP_MS, session, hash], JOIN_MS);
      const joined = joinedOf(session, listOf(said));
      // Where this server holds the session, its next report has all users.
      if (joined.kind === 'unknown') this.#known.delete(session);
      return joined;
    } catch {
      return { kind: 'away', reason: this.away };
    }
  }

  async unseat(session: string, user: string): Promise<void> {
    if (this.away !== '') return;
    const args = [session, this.#redis.userHash(session, user)];
    await this.#redis.run(UNSEAT, args, JOIN_MS).catch(() => undefined);
  }

  async remembered(session: string): Promise<SharedFacts | undefined> {
    return this.#remembered(session).catch(() => undefined);
  }

  async opened(facts: SharedFacts): Promise<void> {
    if (this.away !== '') return;
    const { id, ...rest } = reportOf(facts);
    const report = { ...rest, id, idle: 0, users: [] };
    await this.#ask(REPORT, [KEEP_MS, JSON.stringify([report])]);
  }

  async end(
    session: string,
    cause: SharedEnd,
    facts: SharedFacts | undefined,
  ): Promise<'ended' | 'unknown' | 'away'> {
    const more = facts === undefined ? [] : [facts.maxUsers, facts.openedAtMs, facts.idleTimeoutMs];
    const call = () => this.#redis.run(END, [KEEP_MS, session, cause, ...more], CALL_MS);
    if (this.away === '') {
      const said = await call().catch(() => undefined);
      if (said !== undefined) return listOf(said)[0] === 'ended' ? 'ended' : 'unknown';
    }
    if (facts !== undefined) this.#owe(`end ${session}`, call);
    return 'away';
  }

  async release(
    { id }: SharedFacts,
    { key, part }: OwnPart,
    isLeaving: boolean,
  ): Promise<SharedSession | undefined> {
    this.#known.delete(id);
    const args = [KEEP_MS, id, key, JSON.stringify(part), this.server.id, isLeaving ? '1' : '0'];
    const call = () => this.#redis.run(RELEASE, args, CALL_MS);
    if (this.away === '') {
      const said = await call().catch(() => undefined);
      if (said !== undefined) return sessionOf(id, listOf(said));
    }
    // A server that stops is not there any more when Redis is back.
    if (!isLeaving) this.#owe(`part ${id} ${key}`, call);
    return undefined;
  }

  async describe(session: string): Promise<SharedSession | undefined> {
    if (this.away !== '') return undefined;
    const said = await this.#ask(DESCRIBE, [session]);
    return said === undefined ? undefined : sessionOf(session, listOf(said));
  }

  /** Redis was away, and may have lost everything: it gets every session again with all users. */
  forgetReports(): void {
    this.#known.clear();
  }

  /**
   * Tells Redis of the sessions that this server holds, and learns what the others did. A session is sent with its users until Redis
   * has had them once.
   *
   * 1. What Redis has not had while it was away comes first, so that no session is reported that has ended.
   * 2. Every session is reported: with its users if Redis may lack them, with its part if there were requests.
   * 3. One that Redis does not have is reported once more, with everything.
   *
   * @throws Error if Redis does not answer
   */
  async report(held: readonly HeldSession[], events: ReportEvents): Promise<void> {
    await this.#payOwed(); // 1
    for (let at = 0; at < held.length; at += REPORT_SESSIONS) {
      const some = held.slice(at, at + REPORT_SESSIONS);
      const missing = await this.#reportSome(some, events); // 2
      if (missing.length > 0) await this.#reportSome(missing, events); // 3
    }
  }

  async #reportSome(
    held: readonly HeldSession[],
    events: ReportEvents,
  ): Promise<readonly HeldSession[]> {
    const reports = held.map((session) => {
      const { facts, changes } = session;
      const known = this.#known.get(facts.id);
      const report = { ...reportOf(facts), idle: Math.round(session.idleMs) };
      if (known === changes) return report;
      const { key, part } = session.own();
      const news = { ...report, key, part: JSON.stringify(part) };
      if (known !== undefined) return news;
      return {
        ...news,
        users: session.users().map((user) => this.#redis.userHash(facts.id, user)),
      };
    });
    const said = await this.#redis.run(REPORT, [KEEP_MS, JSON.stringify(reports)], CALL_MS);
    const replies = Array.isArray(said) ? (said as readonly Said[]) : [];
    return held.filter((session, index) => {
      const { facts, changes } = session;
      const [kind, ...values] = listOf(replies[index]);
      this.#known.delete(facts.id);
      if (kind === 'missing') return true;
      if (kind === 'ended') events.onEnded(facts.id, endOf(values[0]));
      else this.#heard(facts, changes, values, events);
      return false;
    });
  }

  #heard(
    facts: SharedFacts,
    changes: number,
    values: readonly string[],
    events: ReportEvents,
  ): void {
    const [users = 0, over = 0, raised = 0, idleMs = 0] = values.map(Number);
    this.#known.set(facts.id, changes);
    events.onCount(facts.id, { users, over }, idleMs);
    if (raised > 0) events.onOver(facts, raised);
  }

  async #payOwed(): Promise<void> {
    for (const [about, call] of this.#owed) {
      await call();
      this.#owed.delete(about);
    }
  }

  #owe(about: string, call: () => Promise<unknown>): void {
    this.#owed.set(about, call);
    for (const oldest of this.#owed.keys()) {
      if (this.#owed.size <= MAX_OWED) break;
      this.#owed.delete(oldest);
    }
  }

  #ask(script: string, args: readonly (string | number)[]): Promise<Said | undefined> {
    return this.#redis.run(script, args, CALL_MS).catch(() => undefined);
  }
}

function reportOf({ id, maxUsers, openedAtMs, idleTimeoutMs }: SharedFacts) {
  return { id, max: maxUsers, opened: openedAtMs, timeout: idleTimeoutMs };
}

function joinedOf(id: string, said: readonly string[]): Joined {
  const [kind, ...values] = said;
  if (kind === 'ended') return { kind, cause: endOf(values[0]) };
  const [first = 0, second = 0, maxUsers = 0, openedAtMs = 0, idleTimeoutMs = 0, isNew = 0] =
    values.map(Number);
  if (kind === 'full') return { kind, maxUsers: second };
  if (kind !== 'open') return { kind: 'unknown' };
  const facts = { id, maxUsers, openedAtMs, idleTimeoutMs };
  return { kind: 'seated', facts, count: { users: first, over: second }, isNew: isNew === 1 };
}

/** @param said what the script DESCRIBE gives */
function sessionOf(id: string, said: readonly string[]): SharedSession | undefined {
  const [state, cause = '', ...values] = said;
  if (state !== 'open' && state !== 'ended') return undefined;
  const [ended = 0, maxUsers = 0, openedAtMs = 0, idleTimeoutMs = 0, over = 0, users = 0] = values
    .slice(0, 6)
    .map(Number);
  const parts: SessionPart[] = [];
  for (let at = 6; at + 1 < values.length; at += 2) {
    const silentMs = Number(values[at]);
    const part = readPart(values[at + 1] ?? '');
    if (part === undefined) continue;
    const isLost = part.state !== 'ended' && (silentMs < 0 || silentMs > LOST_AFTER_MS);
    parts.push(isLost ? { ...part, state: 'lost' } : part);
  }
  parts.sort((a, b) => a.joined_at.localeCompare(b.joined_at) || a.name.localeCompare(b.name));
  return {
    facts: { id, maxUsers, openedAtMs, idleTimeoutMs },
    state,
    cause: state === 'ended' ? endOf(cause) : null,
    endedAtMs: state === 'ended' ? ended : null,
    count: { users, over },
    parts,
  };
}

function endOf(cause: string | undefined): SharedEnd {
  return cause === 'idle' || cause === 'server stopped' ? cause : 'ended by the caller';
}
