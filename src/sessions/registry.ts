import type { JobShard } from '../contract/jobs.js';
import { PlimsollError } from '../errors.js';
import type { Receipt } from '../memory/receipt.js';
import { type CleanupOptions, SessionCleanups } from './cleanups.js';
import type { HeldSession, SessionDirectory, SharedCount, SharedFacts } from './fleet/directory.js';
import { ownPartOf } from './fleet/parts.js';
import { type EndCause, Session, type SessionView } from './session.js';
import { factsOf, SharedSessions } from './shared-sessions.js';

export interface RegistryOptions {
  readonly maxUsers: number;
  readonly maxOpen: number;
  readonly idleTimeoutMs: number;
  /** Called before a session opens; throws to refuse it. */
  readonly admit: () => void;
  /** Private bytes of all our processes in the last reading; undefined before the first. */
  readonly privateBytes?: () => number | undefined;
  /** Runs after every session; see {@link SessionCleanups}. */
  readonly cleanup: CleanupOptions['run'];
  readonly shareReceipt: CleanupOptions['share'];
  /** Called for every change that is kept. */
  readonly onChange: (session: SessionView) => void;
  /** A new user has joined a session. */
  readonly onUser: (session: string, user: string) => void;
  readonly onError: (line: string, error: unknown) => void;
  /** Where several servers share sessions. */
  readonly directory?: SessionDirectory | undefined;
}

/** A request's place in its session. */
export interface Seat {
  readonly session: string;
  /** Call once, when the request is over. */
  readonly leave: (succeeded: boolean) => void;
}

/** A model that an open session has used within this time stays when another session ends. */
const STILL_USED_MS = 5000;
/** Longest wait for running requests, and for the cleanup, when the server stops. */
const STOP_LIMIT_MS = 60_000;
/** Ended sessions kept in memory (3.3 KB each with its receipt); the store answers for older ones. */
const MAX_ENDED = 64;

/** Owns every session: opens, finds and ends them, and runs the cleanup after each. */
export class SessionRegistry {
  readonly #options: RegistryOptions;
  readonly #open = new Map<string, Session>();
  readonly #ended = new Map<string, Session>();
  readonly #ends = new Map<Session, Promise<SessionView>>();
  readonly #cleanups: SessionCleanups;
  readonly #shared: SharedSessions | undefined;
  #ambient: Session | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #stopped = false;
  #limitMs = STOP_LIMIT_MS;
  /** Sets the limit of each step that sessions wait for: called when the server stops. */
  readonly #limits = new Set<() => void>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { cleanup, shareReceipt } = options;
    this.#cleanups = new SessionCleanups({ run: cleanup, share: shareReceipt });
    const { directory } = options;
    const adopt = (facts: SharedFacts) => this.#adopt(facts);
    const admit = () => this.#admit();
    this.#shared = directory && new SharedSessions({ directory, open: this.#open, admit, adopt });
  }

  start(): void {
    const period = Math.max(10, Math.min(1000, this.#options.idleTimeoutMs / 4));
    this.#sweeper ??= setInterval(() => this.#sweep(), period).unref();
  }

  /**
   * Ends every open session with one cleanup for all.
   *
   * @param limitMs time for running requests to finish, and again for the cleanup. Sessions whose time is over
   *    end without a receipt.
   */
  async stop(limitMs = STOP_LIMIT_MS): Promise<void> {
    this.#stopped = true;
    this.#limitMs = limitMs;
    clearInterval(this.#sweeper);
    for (const limit of this.#limits) limit();
    const sessions = [...this.#open.values()];
    await Promise.all(sessions.map((open) => this.#endWithoutCaller(open, 'server stopped')));
  }

  /** Sessions that are open or ending. */
  get openCount(): number {
    return this.#open.size;
  }

  /**
   * Opens a session.
   *
   * @param job the shard of a bulk job that it is for
   * @throws PlimsollError TOO_MANY_SESSIONS, MEMORY_PRESSURE, SHUTTING_DOWN
   */
  open(maxUsers: number = this.#options.maxUsers, job?: JobShard): SessionView {
    return this.#create({ ambient: false, maxUsers, job }).view;
  }

  /**
   * Opens a session for all servers that share sessions, else one of this server.
   *
   * @throws PlimsollError like {@link open}
   */
  openForAll(maxUsers: number = this.#options.maxUsers): SessionView | Promise<SessionView> {
    const { directory } = this.#options;
    if (directory === undefined) return this.open(maxUsers);
    const session = this.#create({ ambient: false, maxUsers, isShared: true });
    return directory.opened(this.#factsOf(session)).then(() => session.view);
  }

  /** Shared sessions that are open here, for the reports to the directory. */
  held(): readonly HeldSession[] {
    const { directory } = this.#options;
    if (directory === undefined) return [];
    const now = performance.now();
    return [...this.#open.values()]
      .filter(({ isShared, state }) => isShared && state !== 'ended')
      .map((session) => ({
        facts: this.#factsOf(session),
        idleMs: session.idleHereMs(now),
        changes: session.changes,
        users: () => session.users,
        own: () => ownPartOf(session.view, directory.server),
      }));
  }

  /** The directory has counted the users of a shared session on all servers, and knows when one of them last asked. */
  noteShared(id: string, count: SharedCount, idleMs: number): void {
    this.#open.get(id)?.noteShared(count, idleMs, performance.now());
  }

  /** A shared session has ended on another server, or was idle on all: the part here ends too. */
  endedElsewhere(id: string, cause: EndCause): void {
    const session = this.#open.get(id);
    if (session?.state === 'open') void this.#endWithoutCaller(session, cause);
  }

  /** Open and recently ended sessions, oldest first. */
  list(): readonly SessionView[] {
    return [...this.#ended.values(), ...this.#open.values()].map((session) => session.view);
  }

  /** Sessions that are open or ending, newest first. */
  listOpen(limit: number): readonly SessionView[] {
    const sessions = [...this.#open.values()];
    return sessions
      .slice(-limit)
      .reverse()
      .map((session) => session.view);
  }

  find(id: string): SessionView | undefined {
    return (this.#open.get(id) ?? this.#ended.get(id))?.view;
  }

  /**
   * Seats a request in the session that it names, else in the ambient one. At once, but for the first request of a user in a session
   * that servers share: that one asks the directory.
   *
   * @throws PlimsollError those of {@link enter}, REDIS_UNAVAILABLE
   */
  enterAny(id: string | undefined, user: string, model: string): Seat | Promise<Seat> {
    const shared = this.#shared;
    if (shared === undefined || id === undefined) return this.enter(id, user, model);
    const known = this.#open.get(id) ?? this.#ended.get(id);
    if (!shared.mustAsk(known, user)) return this.enter(id, user, model);
    const begunMs = performance.now();
    return shared
      .join(id, user, known)
      .then((session) => this.#seat(session, user, model, begunMs));
  }

  /**
   * Seats a request in a session of this server that it names, else in the ambient one.
   *
   * @throws PlimsollError SESSION_NOT_FOUND, SESSION_ENDED, SESSION_FULL, TOO_MANY_SESSIONS
   */
  enter(id: string | undefined, user: string, model: string): Seat {
    const session = id === undefined ? this.#ambientFor(user) : this.#named(id, user);
    return this.#seat(session, user, model, performance.now());
  }

  #seat(session: Session, user: string, model: string, begunMs: number): Seat {
    if (session.begin(user, model, begunMs)) {
      this.#options.onUser(session.id, user);
      this.#options.onChange(session.view);
    }
    return {
      session: session.id,
      leave: (succeeded) => {
        const nowMs = performance.now();
        session.finish(succeeded, nowMs - begunMs, nowMs);
      },
    };
  }

  /**
   * Ends a session for all servers that share it.
   *
   * @returns the part here, once it is cleaned up; undefined if there is none.
   * @throws PlimsollError SESSION_NOT_FOUND, REDIS_UNAVAILABLE
   */
  async endForAll(id: string): Promise<SessionView | undefined> {
    const session = this.#open.get(id);
    const known = session ?? this.#ended.get(id);
    if (this.#shared === undefined || known?.isShared === false) return this.end(id);
    if (known === undefined || known.isLeft || known.state === 'open' || known.mayGoOn) {
      const has = session ?? (known?.mayGoOn === true ? known : undefined);
      await this.#shared.end(id, has && this.#factsOf(has));
    }
    return this.#open.has(id) || known !== undefined ? this.end(id) : undefined;
  }

  /**
   * Ends a session of this server, or its part of one: it takes no more requests, running ones finish, then the cleanup runs. Ending it
   * twice gives the same receipt.
   *
   * @throws PlimsollError SESSION_NOT_FOUND
   */
  async end(id: string): Promise<SessionView> {
    const session = this.#open.get(id);
    if (session !== undefined) return this.#end(session, 'ended by the caller');
    const ended = this.#ended.get(id);
    if (ended !== undefined) return ended.view;
    throw notFound(id);
  }

  #named(id: string, user: string): Session {
    const session = this.#open.get(id) ?? this.#ended.get(id);
    if (session === undefined) throw notFound(id);
    if (session.state !== 'open') {
      throw new PlimsollError('SESSION_ENDED', `session ${id} has ended`);
    }
    if (!session.hasRoomFor(user)) {
      const message = `session ${id} has its ${session.maxUsers} users; open another one`;
      throw new PlimsollError('SESSION_FULL', message);
    }
    return session;
  }

  #ambientFor(user: string): Session {
    const current = this.#ambient;
    if (current?.state === 'open') {
      if (current.hasRoomFor(user)) return current;
      void this.#endWithoutCaller(current, 'full');
    }
    this.#ambient = this.#create({ ambient: true, maxUsers: this.#options.maxUsers });
    return this.#ambient;
  }

  /** A part in a session that another server has opened. */
  #adopt({ id, maxUsers, openedAtMs }: SharedFacts): Session {
    const session = this.#create({ ambient: false, maxUsers, id, openedAtMs, isShared: true });
    // Its last part here is in the directory.
    this.#ended.delete(id);
    return session;
  }

  #factsOf(session: Session): SharedFacts {
    return factsOf(session, this.#options.idleTimeoutMs);
  }

  /** Whether a session may open. @throws PlimsollError TOO_MANY_SESSIONS, MEMORY_PRESSURE, SHUTTING_DOWN */
  #admit(): void {
    if (this.#stopped) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
    this.#options.admit();
    const open = [...this.#open.values()].filter(({ state }) => state === 'open').length;
    if (open >= this.#options.maxOpen) {
      const message = `${open} sessions are open (session.max_open)`;
      throw new PlimsollError('TOO_MANY_SESSIONS', message, { retryAfterSeconds: 1 });
    }
  }

  #create(of: Omit<ConstructorParameters<typeof Session>[0], 'privateBytes'>): Session {
    this.#admit();
    const privateBytes = this.#options.privateBytes?.();
    const session = new Session({ ...of, privateBytes });
    this.#open.set(session.id, session);
    this.#options.onChange(session.view);
    return session;
  }

  #end(session: Session, cause: EndCause): Promise<SessionView> {
    const running = this.#ends.get(session);
    if (running !== undefined) return running;
    const end = this.#runEnd(session, cause).finally(() => this.#ends.delete(session));
    this.#ends.set(session, end);
    return end;
  }

  async #runEnd(session: Session, cause: EndCause): Promise<SessionView> {
    session.beginEnd(cause);
    this.#options.onChange(session.view);
    let receipt: Receipt | null = null;
    try {
      await this.#inTime(session.quiet());
      const stillUsed = (model: string) => this.#isStillUsed(model);
      const isAwaited = cause === 'ended by the caller';
      const how = isAwaited ? 'own' : 'shared';
      receipt = await this.#inTime(this.#cleanups[how](session.view, stillUsed));
    } finally {
      // The session ends even if its cleanup failed: nobody could end it again.
      session.completeEnd(receipt);
      if (session.isShared) await this.#release(session, cause);
      this.#open.delete(session.id);
      this.#ended.set(session.id, session);
      for (const id of this.#ended.keys()) {
        if (this.#ended.size <= MAX_ENDED) break;
        this.#ended.delete(id);
      }
      this.#options.onChange(session.view);
    }
    return session.view;
  }

  /** Gives the directory what was done here. */
  async #release(session: Session, cause: EndCause): Promise<void> {
    const { directory } = this.#options;
    if (directory === undefined) return;
    const own = ownPartOf(session.view, directory.server);
    const isLeaving = cause === 'server stopped';
    session.noteLeft(await directory.release(this.#factsOf(session), own, isLeaving));
  }

  /** The work's outcome; null once the server stops and the time for that is over. */
  #inTime<T>(work: Promise<T>): Promise<T | null> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const limit = () => {
        timer = setTimeout(resolve, this.#limitMs, null);
      };
      this.#limits.add(limit);
      if (this.#stopped) limit();
      const done = () => {
        this.#limits.delete(limit);
        clearTimeout(timer);
      };
      work.then(resolve, reject).finally(done);
    });
  }

  /** Ends a session whose receipt nobody waits for; a failed cleanup is logged. */
  async #endWithoutCaller(session: Session, cause: EndCause): Promise<void> {
    try {
      await this.#end(session, cause);
    } catch (error) {
      this.#options.onError('a session could not be cleaned up', error);
    }
  }

  #isStillUsed(model: string): boolean {
    const now = performance.now();
    for (const session of this.#open.values()) {
      if (session.usesModel(model, now, STILL_USED_MS)) return true;
    }
    return false;
  }

  /** Shared sessions are ended by the directory, which knows what all servers do, as long as it is there. */
  #sweep(): void {
    const now = performance.now();
    const isJudgedElsewhere = this.#options.directory?.away === '';
    for (const session of this.#open.values()) {
      if (session.isShared && isJudgedElsewhere) continue;
      const idle = session.idleMs(now) >= this.#options.idleTimeoutMs;
      if (idle && session.state === 'open') void this.#endWithoutCaller(session, 'idle');
    }
  }
}

function notFound(id: string): PlimsollError {
  return new PlimsollError('SESSION_NOT_FOUND', `there is no session "${id.slice(0, 100)}"`);
}
