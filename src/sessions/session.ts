import { randomUUID } from 'node:crypto';
import type { Receipt } from '../memory/receipt.js';
import { LatencyHistogram, type Percentiles } from './latency.js';

/** `open`: takes requests; `ending`: running requests finish, then the cleanup runs; `ended`. */
export type SessionState = 'open' | 'ending' | 'ended';

/** Why a session ended. */
export type EndCause = 'ended by the caller' | 'idle' | 'full' | 'server stopped';

/** A snapshot of a session. */
export interface SessionView {
  readonly id: string;
  readonly state: SessionState;
  /** Opened by the server, for requests that name no session. */
  readonly ambient: boolean;
  readonly maxUsers: number;
  readonly users: number;
  readonly requests: number;
  readonly failures: number;
  /** Latency of its answers; null before the first. */
  readonly latency: Percentiles | null;
  /** Milliseconds since 1970. */
  readonly openedAtMs: number;
  readonly endedAtMs: number | null;
  readonly endCause: EndCause | null;
  /**
   * Rise of private memory from its opening to its cleanup, in bytes, concurrent sessions included.
   * Null before its end, or if there was no reading when it opened.
   */
  readonly takenBytes: number | null;
  readonly cleanup: Receipt | null;
}

/** A span of work of up to `maxUsers` users. Changed only by the registry. */
export class Session {
  readonly id = `s_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  readonly openedAtMs = Date.now();
  readonly ambient: boolean;
  readonly maxUsers: number;
  readonly #privateBytesAtOpening: number | undefined;
  readonly #users = new Set<string>();
  readonly #models = new Map<string, number>();
  readonly #idleWaiters: (() => void)[] = [];
  /** Dropped when the session has ended; its percentiles are kept. */
  #latencies: LatencyHistogram | undefined = new LatencyHistogram();
  #lastPercentiles: Percentiles | null = null;
  #state: SessionState = 'open';
  #inFlight = 0;
  #requests = 0;
  #failures = 0;
  #lastActiveAtMs = performance.now();
  #endedAtMs: number | null = null;
  #endCause: EndCause | null = null;
  #cleanup: Receipt | null = null;

  constructor(options: {
    readonly ambient: boolean;
    readonly maxUsers: number;
    /** Private bytes in the last reading. */
    readonly privateBytes?: number | undefined;
  }) {
    this.ambient = options.ambient;
    this.maxUsers = options.maxUsers;
    this.#privateBytesAtOpening = options.privateBytes;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Whether this user is a member or may become one. */
  hasRoomFor(user: string): boolean {
    return this.#users.has(user) || this.#users.size < this.maxUsers;
  }

  /** Milliseconds since a request last started or ended; 0 while one runs. */
  idleMs(nowMs: number): number {
    return this.#inFlight > 0 ? 0 : nowMs - this.#lastActiveAtMs;
  }

  /** Whether it is open and has used the model within that time. */
  usesModel(model: string, nowMs: number, withinMs: number): boolean {
    const last = this.#models.get(model);
    return this.#state === 'open' && last !== undefined && nowMs - last <= withinMs;
  }

  /** A request starts. @returns whether its user is new here. */
  begin(user: string, model: string, nowMs: number): boolean {
    const isNew = !this.#users.has(user);
    this.#users.add(user);
    this.#models.set(model, nowMs);
    this.#inFlight += 1;
    this.#requests += 1;
    this.#lastActiveAtMs = nowMs;
    return isNew;
  }

  /**
   * A request counted by {@link begin} is over.
   *
   * @param tookMs its latency; counted if it succeeded.
   */
  finish(succeeded: boolean, tookMs: number, nowMs: number): void {
    this.#inFlight -= 1;
    if (succeeded) this.#latencies?.add(tookMs);
    else this.#failures += 1;
    this.#lastActiveAtMs = nowMs;
    if (this.#inFlight === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  /** Takes no more requests. */
  beginEnd(cause: EndCause): void {
    this.#state = 'ending';
    this.#endCause = cause;
  }

  /** Resolves when none of its requests runs. */
  quiet(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Marks it ended and drops what it held. */
  completeEnd(cleanup: Receipt | null): void {
    this.#state = 'ended';
    this.#endedAtMs = Date.now();
    this.#cleanup = cleanup;
    this.#models.clear();
    this.#lastPercentiles = this.#latencies?.percentiles ?? null;
    this.#latencies = undefined;
  }

  get #takenBytes(): number | null {
    const [atOpening, cleanup] = [this.#privateBytesAtOpening, this.#cleanup];
    return cleanup === null || atOpening === undefined
      ? null
      : cleanup.before.privateBytes - atOpening;
  }

  get view(): SessionView {
    return {
      id: this.id,
      state: this.#state,
      ambient: this.ambient,
      maxUsers: this.maxUsers,
      users: this.#users.size,
      requests: this.#requests,
      failures: this.#failures,
      latency: this.#latencies?.percentiles ?? this.#lastPercentiles,
      openedAtMs: this.openedAtMs,
      endedAtMs: this.#endedAtMs,
      endCause: this.#endCause,
      takenBytes: this.#takenBytes,
      cleanup: this.#cleanup,
    };
  }
}
