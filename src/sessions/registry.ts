import { PlimsollError } from '../errors.js';
import type { Receipt } from '../memory/receipt.js';
import { type EndCause, Session, type SessionView } from './session.js';

export interface RegistryOptions {
  readonly maxUsers: number;
  readonly maxOpen: number;
  readonly idleTimeoutMs: number;
  /** Called before a session opens; throws to refuse it. */
  readonly admit: () => void;
  /** Private bytes of all our processes in the last reading; undefined before the first. */
  readonly privateBytes?: () => number | undefined;
  /** Runs after every session. */
  readonly cleanup: (session: SessionView, stillUsed: StillUsed) => Promise<Receipt>;
  /** Called for every change that is kept. */
  readonly onChange: (session: SessionView) => void;
  /** A new user has joined a session. */
  readonly onUser: (session: string, user: string) => void;
  readonly onError: (line: string, error: unknown) => void;
}

/** Whether an open session still uses the model. */
export type StillUsed = (model: string) => boolean;

/** A request's place in its session. */
export interface Seat {
  readonly session: string;
  /** Call once, when the request is over. */
  readonly leave: (succeeded: boolean) => void;
}

/** A model that an open session has used within this time stays when another session ends. */
const STILL_USED_MS = 5000;
/** Ended sessions kept in memory (3.3 KB each with its receipt); the store answers for older ones. */
const MAX_ENDED = 64;

/** Owns every session: opens, finds and ends them, and runs the cleanup after each. */
export class SessionRegistry {
  readonly #options: RegistryOptions;
  readonly #open = new Map<string, Session>();
  readonly #ended = new Map<string, Session>();
  readonly #ends = new Map<Session, Promise<SessionView>>();
  #ambient: Session | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  start(): void {
    const period = Math.max(10, Math.min(1000, this.#options.idleTimeoutMs / 4));
    this.#sweeper ??= setInterval(() => this.#sweep(), period).unref();
  }

  /** Ends every open session with its cleanup; a failing cleanup does not stop the others. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweeper);
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
   * @throws PlimsollError TOO_MANY_SESSIONS, MEMORY_PRESSURE, SHUTTING_DOWN
   */
  open(maxUsers: number = this.#options.maxUsers): SessionView {
    return this.#create(false, maxUsers).view;
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
   * Seats a request in the session that it names, else in the ambient one.
   *
   * @throws PlimsollError SESSION_NOT_FOUND, SESSION_ENDED, SESSION_FULL, TOO_MANY_SESSIONS
   */
  enter(id: string | undefined, user: string, model: string): Seat {
    const session = id === undefined ? this.#ambientFor(user) : this.#named(id, user);
    const begunMs = performance.now();
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
   * Ends a session: it takes no more requests, running ones finish, then the cleanup runs. Ending it twice gives
   * the same receipt.
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
    this.#ambient = this.#create(true, this.#options.maxUsers);
    return this.#ambient;
  }

  #create(ambient: boolean, maxUsers: number): Session {
    if (this.#stopped) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
    this.#options.admit();
    const open = [...this.#open.values()].filter(({ state }) => state === 'open').length;
    if (open >= this.#options.maxOpen) {
      const message = `${open} sessions are open (session.max_open)`;
      throw new PlimsollError('TOO_MANY_SESSIONS', message, { retryAfterSeconds: 1 });
    }
    const privateBytes = this.#options.privateBytes?.();
    const session = new Session({ ambient, maxUsers, privateBytes });
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
    await session.quiet();
    let receipt: Receipt | null = null;
    try {
      receipt = await this.#options.cleanup(session.view, (model) => this.#isStillUsed(model));
    } finally {
      // The session ends even if its cleanup failed: nobody could end it again.
      session.completeEnd(receipt);
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

  #sweep(): void {
    const now = performance.now();
    for (const session of this.#open.values()) {
      const idle = session.idleMs(now) >= this.#options.idleTimeoutMs;
      if (idle && session.state === 'open') void this.#endWithoutCaller(session, 'idle');
    }
  }
}

function notFound(id: string): PlimsollError {
  return new PlimsollError('SESSION_NOT_FOUND', `there is no session "${id.slice(0, 100)}"`);
}
