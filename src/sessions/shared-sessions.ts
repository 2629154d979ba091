import { PlimsollError } from '../errors.js';
import type { Joined, SessionDirectory, SharedFacts } from './fleet/directory.js';
import type { Session } from './session.js';

type Seated = Extract<Joined, { readonly kind: 'seated' }>;

/** Parts of this server in sessions that several servers share: who may join, and how such a session is ended. */
export class SharedSessions {
  readonly #directory: SessionDirectory;
  /** The registry's. */
  readonly #open: ReadonlyMap<string, Session>;
  readonly #admit: () => void;
  readonly #adopt: (facts: SharedFacts) => Session;

  constructor(of: {
    readonly directory: SessionDirectory;
    readonly open: ReadonlyMap<string, Session>;
    /** Whether a part may be made here. @throws PlimsollError like `adopt` */
    readonly admit: () => void;
    /** Makes a part here. @throws PlimsollError TOO_MANY_SESSIONS, MEMORY_PRESSURE, SHUTTING_DOWN */
    readonly adopt: (facts: SharedFacts) => Session;
  }) {
    this.#directory = of.directory;
    this.#open = of.open;
    this.#admit = of.admit;
    this.#adopt = of.adopt;
  }

  /** Whether the directory decides: about sessions that are not known here, and users who are new here. */
  mustAsk(known: Session | undefined, user: string): boolean {
    if (known === undefined || known.isLeft || known.mayGoOn) return true;
    return known.isShared && known.state === 'open' && !known.knows(user);
  }

  /**
   * Counts a user who is new here, and gives the session in which the request may begin. Where no part could be made here nobody is
   * counted.
   *
   * 1. The directory has counted the user: seated, with a part made here if there was none. If that is refused by now, a new user’s
   *    seat is given back.
   * 2. It refuses: the session is full, or has ended.
   * 3. It does not know the session, or does not answer, and there is a part here: this server decides by the users that it knows. The
   *    next report says so, and what was let in beyond the number is named then.
   * 4. There is none: the database may know that the session is open.
   * 5. Else it has ended if a part here did so with it; it is not found, or, where the directory does not answer, not known yet.
   *
   * @param known what this server has of it, open or ended
   * @throws PlimsollError SESSION_NOT_FOUND, SESSION_ENDED, SESSION_FULL, REDIS_UNAVAILABLE, and those of making a part
   */
  async join(id: string, user: string, known: Session | undefined): Promise<Session> {
    if (!this.#open.has(id)) this.#admit();
    const joined = await this.#ask(id, user);
    const part = this.#open.get(id);
    if (joined.kind === 'seated') {
      const session = openPart(part ?? (await this.#partFor(user, joined)));
      session.noteShared(joined.count, 0, performance.now());
      return session; // 1
    }
    if (joined.kind === 'full') throw full(id, joined.maxUsers); // 2
    if (joined.kind === 'ended') throw ended(id); // 2
    if (part !== undefined) {
      const session = openPart(part);
      if (!session.hasRoomFor(user)) throw full(id, session.maxUsers);
      return session; // 3
    }
    const facts = await this.#directory.remembered(id);
    if (facts !== undefined) return openPart(this.#open.get(id) ?? this.#adopt(facts)); // 4
    if (known?.mayGoOn === true) throw ended(id); // 5
    throw joined.kind === 'away' ? notKnownYet(id, joined.reason) : notFound(id); // 5
  }

  async #partFor(user: string, { facts, isNew }: Seated): Promise<Session> {
    try {
      return this.#adopt(facts);
    } catch (error) {
      if (isNew) await this.#directory.unseat(facts.id, user);
      throw error;
    }
  }

  /** Requests of one user that come at once ask once. */
  #ask(id: string, user: string): ReturnType<SessionDirectory['join']> {
    const part = this.#open.get(id);
    if (part === undefined) return this.#directory.join(id, user);
    const running = part.joining.get(user);
    if (running !== undefined) return running;
    const join = this.#directory.join(id, user).finally(() => part.joining.delete(user));
    part.joining.set(user, join);
    return join;
  }

  /**
   * Ends a session for all servers; one of which Redis knows nothing, or where it is away, ends here.
   *
   * @throws PlimsollError SESSION_NOT_FOUND, REDIS_UNAVAILABLE if there is no part here either
   */
  async end(id: string, facts: SharedFacts | undefined): Promise<void> {
    const known = facts ?? (await this.#directory.remembered(id));
    const told = await this.#directory.end(id, 'ended by the caller', known);
    if (told === 'ended' || known !== undefined) return;
    throw told === 'away' ? notKnownYet(id, this.#directory.away) : notFound(id);
  }
}

export function factsOf({ id, maxUsers, openedAtMs }: Session, idleTimeoutMs: number): SharedFacts {
  return { id, maxUsers, openedAtMs, idleTimeoutMs };
}

function openPart(session: Session): Session {
  if (session.state !== 'open') throw ended(session.id);
  return session;
}

function full(id: string, maxUsers: number): PlimsollError {
  const message = `session ${id} has its ${maxUsers} users; open another one`;
  return new PlimsollError('SESSION_FULL', message);
}

function ended(id: string): PlimsollError {
  return new PlimsollError('SESSION_ENDED', `session ${id} has ended`);
}

function notFound(id: string): PlimsollError {
  return new PlimsollError('SESSION_NOT_FOUND', `there is no session "${id.slice(0, 100)}"`);
}

function notKnownYet(id: string, reason: string): PlimsollError {
  const message = `this server does not know session "${id.slice(0, 100)}" yet, and Redis, which has the sessions of all servers, does not answer: ${reason}`;
  return new PlimsollError('REDIS_UNAVAILABLE', message, { retryAfterSeconds: 1 });
}
