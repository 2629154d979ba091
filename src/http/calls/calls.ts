import type { FastifyReply, FastifyRequest } from 'fastify';
import { PlimsollError } from '../../errors.js';
import type { Asked, SessionAnswer } from '../../sessions/service.js';
import { takeInputs } from '../guards/key-guard.js';
import type { HttpServices } from '../services.js';
import { CallerAbort } from './caller-abort.js';
import { Callers, SESSION_HEADER } from './callers.js';

/** Who asks whom, as a body names them; headers fill in what it lacks. */
export interface Named {
  readonly model: string | undefined;
  readonly session?: string | undefined;
  readonly user?: string | undefined;
}

/** What the calls of every door have in common: who asks, how long they wait, what is counted, how they fail. */
export class Calls {
  readonly callers: Callers;
  readonly #services: HttpServices;

  constructor(services: HttpServices) {
    this.callers = new Callers(services.userSecret);
    this.#services = services;
  }

  /** Aborts when the deadline passes or the caller disconnects; whoever takes it clears it. */
  callerAbort(request: FastifyRequest): CallerAbort {
    return new CallerAbort(request, this.#services.limits.deadlineMs);
  }

  /**
   * Asks for one request and writes the answer.
   *
   * @param ask puts the question. Its answer may be there at once: awaiting it then would cost a turn.
   * @param write makes the reply's body. `tookMs` counts from the call.
   */
  answer<R, T>(
    request: FastifyRequest,
    reply: FastifyReply,
    named: Named,
    ask: (asked: Asked, abort: CallerAbort) => SessionAnswer<R> | Promise<SessionAnswer<R>>,
    write: (answer: SessionAnswer<R>, tookMs: number) => T | Promise<T>,
  ): T | Promise<T> {
    const { model } = named;
    const session = this.callers.sessionOf(request, named.session);
    const user = this.callers.userOf(request, named.user);
    const abort = this.callerAbort(request);
    const give = (answer: SessionAnswer<R>): T | Promise<T> => {
      this.note(answer, reply);
      return write(answer, performance.now() - abort.beganMs);
    };
    try {
      const answer = ask({ model, session, user, take: this.takeOf(request, reply) }, abort);
      return answer instanceof Promise ? this.#waited(answer, abort, session, give) : give(answer);
    } catch (error) {
      abort.clear();
      return this.refused(error, session);
    }
  }

  /** What takes inputs from the limit of the caller's key; undefined for one without. */
  takeOf(request: FastifyRequest, reply: FastifyReply): Asked['take'] {
    if (request.caller?.inputsPerMinute === undefined) return undefined;
    return (rows) => takeInputs(this.#services.keyCheck, request, reply, rows);
  }

  /** Names the session in the reply. */
  note({ session }: { readonly session: string }, reply: FastifyReply): void {
    void reply.header(SESSION_HEADER, session);
  }

  /** Fails with what the caller is to be told: a session of an earlier run has ended, others never were. */
  async refused(error: unknown, session: string | undefined): Promise<never> {
    throw (await this.#isArchived(error, session))
      ? new PlimsollError('SESSION_ENDED', `session ${session} has ended`)
      : error;
  }

  async #waited<A, T>(
    answer: Promise<A>,
    abort: CallerAbort,
    session: string | undefined,
    give: (answer: A) => T | Promise<T>,
  ): Promise<T> {
    try {
      return await give(await answer);
    } catch (error) {
      return await this.refused(error, session);
    } finally {
      abort.clear();
    }
  }

  /** Whether the error says that a session was not found, and that session ended in an earlier run or long ago. */
  async #isArchived(error: unknown, session: string | undefined): Promise<boolean> {
    if (!(error instanceof PlimsollError) || error.code !== 'SESSION_NOT_FOUND') return false;
    if (session === undefined) return false;
    try {
      return (await this.#services.archive.session(session)) !== undefined;
    } catch {
      // Without the database nobody knows, so the session counts as not found.
      return false;
    }
  }
}
