import { randomUUID } from 'node:crypto';
import type { JobShard } from '../contract/jobs.js';
import type { Receipt } from '../memory/receipt.js';
import type { Joined, SharedCount, SharedSession } from './fleet/directory.js';
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
  /** The shard of a bulk job that it was opened for. */
  readonly job?: JobShard | undefined;
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
  /** Only of sessions that several servers share: what this server knows of the others. */
  readonly shared?: SharedView;
}

/** What a server knows of a session that it shares with others. */
export interface SharedView extends SharedCount {
  /** When it got its part here, in milliseconds since 1970. */
  readonly joinedAtMs: number;
  /** The fleet's session when the part here ended; null before, and where Redis was away then. */
  readonly left: SharedSession | null;
}

export function newSessionId(): string {
  return `s_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
}

/** A span of work of up to `maxUsers` users. Changed only by the registry. */
export class Session {
  readonly id: string;
  readonly openedAtMs: number;
  readonly ambient: boolean;
  readonly job: JobShard | undefined;
  /** Whether other servers may have parts in it. */
  readonly isShared: boolean;
  /** New users whom the directory is asked about, each once. */
  readonly joining = new Map<string, Promise<Joined>>();
  readonly #joinedAtMs = Date.now();
  #count: SharedCount = { users: 0, over: 0 };
  /** By `performance.now()`: the last activity on any server, as far as it is known here. */
  #fleetActiveAtMs = Number.NEGATIVE_INFINITY;
  #left: SharedSession | null = null;
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
  #changes = 0;
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
    /** Of a session that another server has opened; new ones by default. */
    readonly id?: string | undefined;
    readonly openedAtMs?: number | undefined;
    readonly isShared?: boolean | undefined;
    readonly job?: JobShard | undefined;
  }) {
    this.id = options.id ?? newSessionId();
    this.openedAtMs = options.openedAtMs ?? this.#joinedAtMs;
    this.ambient = options.ambient;
    this.job = options.job;
    this.isShared = options.isShared === true;
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

  /** Whether this user has asked here. */
  knows(user: string): boolean {
    return this.#users.has(user);
  }

  get users(): readonly string[] {
    return [...this.#users];
  }

  /** Rises with everything that happens here. */
  get changes(): number {
    return this.#changes;
  }

  /** Milliseconds since a request last started or ended here; 0 while one runs. */
  idleHereMs(nowMs: number): number {
    return this.#inFlight > 0 ? 0 : nowMs - this.#lastActiveAtMs;
  }

  /** The same of all servers, as far as it is known here. */
  idleMs(nowMs: number): number {
    return Math.min(this.idleHereMs(nowMs), nowMs - this.#fleetActiveAtMs);
  }

  /** What the directory says of it. */
  noteShared(count: SharedCount, idleMs: number, nowMs: number): void {
    this.#count = count;
    this.#fleetActiveAtMs = nowMs - idleMs;
  }

  /** Whether its part here has ended while it goes on elsewhere. */
  get isLeft(): boolean {
    const isOver = this.#endCause === 'ended by the caller' || this.#left?.state === 'ended';
    return this.isShared && this.#state === 'ended' && !isOver;
  }

  /** Whether it ended as idle on all servers: it goes on if one that was cut off has used it. */
  get mayGoOn(): boolean {
    return this.#state === 'ended' && this.#left?.state === 'ended' && this.#left.cause === 'idle';
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
    this.#changes += 1;
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
    this.#changes += 1;
    if (succeeded) this.#latencies?.add(tookMs);
    else this.#failures += 1;
    this.#lastActiveAtMs = nowMs;
    if (this.#inFlight === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  /** Takes no more requests. */
  beginEnd(cause: EndCause): void {
    this.#state = 'ending';
    this.#changes += 1;
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
    this.joining.clear();
    this.#models.clear();
    this.#lastPercentiles = this.#latencies?.percentiles ?? null;
    this.#latencies = undefined;
  }

  /** Its part here is over: what the fleet has of it. */
  noteLeft(left: SharedSession | undefined): void {
    this.#left = left ?? null;
    if (left !== undefined) this.#count = left.count;
  }

  get #takenBytes(): number | null {
    const [atOpening, cleanup] = [this.#privateBytesAtOpening, this.#cleanup];
    return cleanup === null || atOpening === undefined
      ? null
      : cleanup.before.privateBytes - atOpening;
  }

  get #shared(): SharedView {
    const users = Math.max(this.#users.size, this.#count.users);
    return { users, over: this.#count.over, joinedAtMs: this.#joinedAtMs, left: this.#left };
  }

  get view(): SessionView {
    return {
      id: this.id,
      state: this.#state,
      ambient: this.ambient,
      job: this.job,
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
      ...(this.isShared ? { shared: this.#shared } : {}),
    };
  }
}
