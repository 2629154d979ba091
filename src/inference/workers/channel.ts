import type { ChildProcess } from 'node:child_process';
import { PlimsollError } from '../../errors.js';
import type { WorkerAnswers, WorkerNotice, WorkerRequest } from './protocol.js';
import { readAnswer, type WorkerReply } from './read-answer.js';
import { type Overdue, type Progress, type TimeLimit, TimeLimitWatch } from './time-limit.js';
import { type Stage, WorkerGoneError } from './worker-gone.js';

export interface ChannelOptions {
  /** Name of the worker in messages. */
  readonly id: string;
  readonly child: Pick<ChildProcess, 'send' | 'connected'>;
  /** See {@link TimeLimitWatch}. */
  readonly stalledMs: number;
  /** What is seen of the process now. */
  readonly look: () => Omit<Progress, 'elapsedMs'>;
  /** Private bytes that the process may have; see {@link TimeLimitWatch}. */
  readonly mostBytes: number;
  /** The worker did not answer within the request's limit. */
  readonly onOverdue: (request: WorkerRequest['type'], overdue: Overdue, elapsedMs: number) => void;
  /** A message could not be sent. */
  readonly onUnreachable: () => void;
  /** The worker sent something that answers nothing: what else it says cannot be relied on. */
  readonly onGarbage: (what: string) => void;
}

interface Pending {
  readonly request: WorkerRequest;
  readonly limit: TimeLimit;
  readonly threads: number;
  /** Takes what the worker answered. @returns false if it is of another shape */
  readonly answer: (value: unknown) => boolean;
  readonly reject: (error: Error) => void;
}

/**
 * A timer this late was held up by this process, not by the worker: by a long collection, or because both were
 * stopped. The answer may be in the pipe, so the request gets the time again.
 */
const LATE_TIMER_MS = 500;

/**
 * Requests to one worker and their answers. Every request has a limit, which counts from when the worker is free
 * for it: a worker handles its requests in order, so only the first one can be overdue.
 */
export class WorkerChannel {
  readonly #options: ChannelOptions;
  /** In the order in which they were sent. */
  readonly #pending = new Map<number, Pending>();
  #timer: NodeJS.Timeout | undefined;
  /** When the worker became free for the first pending request. */
  #startedMs = 0;
  #heardMs = performance.now();
  #nextId = 1;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Time without a message from the worker; 0 while it has requests, as those have limits. */
  get silentMs(): number {
    return this.#pending.size > 0 ? 0 : performance.now() - this.#heardMs;
  }

  /**
   * @param threads threads that work on the request at once.
   * @throws PlimsollError what the worker answered; WorkerGoneError
   */
  call<R extends WorkerRequest>(
    request: R,
    limit: TimeLimit,
    threads = 1,
  ): Promise<WorkerAnswers[R['type']]> {
    return new Promise((resolve, reject) => {
      const { id: name, child, onUnreachable } = this.#options;
      if (this.#isClosed || !child.connected) {
        // It must not count as ready any more, or the same work would be given to it over and over.
        if (!this.#isClosed) onUnreachable();
        reject(new WorkerGoneError(`${name} is gone`, { stage: 'not begun' }));
        return;
      }
      const id = this.#nextId++;
      const answer = (value: unknown) => {
        const read = readAnswer<R>(request, value);
        if (read !== undefined) resolve(read);
        return read !== undefined;
      };
      this.#pending.set(id, { request, limit, threads, answer, reject });
      if (this.#pending.size === 1) this.#watchFirst();
      child.send({ ...request, id }, (error) => {
        if (error === null) return;
        this.#settle(id);
        onUnreachable();
        const message = `${name} cannot be reached: ${error.message}`;
        reject(new WorkerGoneError(message, { stage: 'not begun' }));
      });
    });
  }

  /** Sends what needs no answer. A worker that it does not reach has ended, which its open requests tell. */
  tell(notice: WorkerNotice): void {
    if (this.#isClosed || !this.#options.child.connected) return;
    this.#options.child.send(notice, () => undefined);
  }

  /** @param reply undefined if the message was none. */
  receive(reply: WorkerReply | undefined): void {
    this.#heardMs = performance.now();
    const pending = reply && this.#pending.get(reply.id);
    // A request that garbage answered stays open: it fails when the worker is ended for it, and runs elsewhere.
    if (reply === undefined) this.#options.onGarbage('sent what is no message');
    else if (pending === undefined) this.#options.onGarbage('answered what it was not asked');
    else if (reply.type === 'failed') {
      this.#settle(reply.id);
      pending.reject(new PlimsollError(reply.code, reply.message));
    } else if (pending.answer(reply.value)) this.#settle(reply.id);
    else this.#options.onGarbage(`answered "${pending.request.type}" with another shape`);
  }

  /** The worker has ended: every open request fails, and learns how far the worker had come with it. */
  close(error: WorkerGoneError): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const first = this.#first;
    const open = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of open) pending.reject(error.at(stageOf(pending, first)));
  }

  get #first(): Pending | undefined {
    for (const pending of this.#pending.values()) return pending;
    return undefined;
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    const wasFirst = pending === this.#first;
    this.#pending.delete(id);
    if (pending !== undefined && wasFirst) {
      clearTimeout(this.#timer);
      this.#watchFirst();
    }
    return pending;
  }

  #watchFirst(): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#startedMs = performance.now();
    const { limit, threads } = first;
    const { stalledMs, mostBytes } = this.#options;
    const watch = new TimeLimitWatch({ limit, threads, stalledMs, mostBytes });
    this.#lookAfter(watch.firstLookMs, first, watch);
  }

  #lookAfter(ms: number, request: Pending, watch: TimeLimitWatch): void {
    const dueMs = performance.now() + ms;
    this.#timer = setTimeout(() => {
      const lateMs = performance.now() - dueMs;
      if (lateMs > LATE_TIMER_MS) this.#startedMs += lateMs;
      // Timers run before messages: an answer that is in the pipe already has to be read first.
      setImmediate(() => {
        if (this.#first !== request || this.#isClosed) return;
        if (lateMs > LATE_TIMER_MS) this.#lookAfter(ms, request, watch);
        else this.#look(request, watch);
      });
    }, ms);
  }

  #look(request: Pending, watch: TimeLimitWatch): void {
    const elapsedMs = performance.now() - this.#startedMs;
    const next = watch.look({ elapsedMs, ...this.#options.look() });
    if (typeof next === 'number') this.#lookAfter(next, request, watch);
    else this.#options.onOverdue(request.request.type, next, elapsedMs);
  }
}

/** A worker handles its requests in order: it worked on the first one, and had not looked at the others. */
function stageOf({ request }: Pending, first: Pending | undefined): Stage {
  if (request === first?.request) return 'running';
  const isOpening = first?.request.type === 'load' && request.type === 'run';
  return isOpening && first.request.model.id === request.model ? 'opening' : 'not begun';
}
