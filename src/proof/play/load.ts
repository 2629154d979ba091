/** Plays a plan against a server and collects what happened. Judges nothing, retries nothing. */

import { parseCache, parseMemory, parseReceipts } from '../replies.js';
import { Assignment } from './assignment.js';
import { BackgroundCpu } from './background-cpu.js';
import { ProofClient } from './client.js';
import { type Counters, parseCounters } from './counters.js';
import type { InputSet } from './inputs.js';
import { OtherSessions } from './other-sessions.js';
import { type Plan, usersOf } from './plan.js';
import { Recorder } from './recorder.js';
import type { Disturber, LoadEvent, LoadRun, SessionRun } from './run.js';
import { CLOSING_CALL_MS, SessionPlayer } from './session-player.js';
import { MAX_IN_FLIGHT } from './users.js';

/** A report's limit: the run ends there. About 20 hours of a usual soak. */
export const MAX_SESSIONS = 20_000;
/** The server's limit for a list. */
const MAX_RECYCLES = 999;
/** After a ramp was refused, one more session runs with this share of the users served last. */
const RECOVERY_SHARE = 0.25;

export interface LoadOptions {
  readonly url: string;
  /** Key to ask the server with; none where it asks for none. */
  readonly key?: string | undefined;
  readonly plan: Plan;
  readonly inputSet: InputSet;
  /** Model, or several separated by commas; default: the server's default. */
  readonly model?: string | undefined;
  /** Seed of the shuffle of the texts. */
  readonly seed: number;
  /** Pause between two readings of the memory during a session. */
  readonly readingIntervalMs: number;
  readonly requestTimeoutMs: number;
  /** Time limit of the whole run. */
  readonly runTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly disturber?: Disturber | undefined;
}

/** Plays the whole run. Failures of the server are recorded, not thrown. */
export function runLoad(
  options: LoadOptions,
  observe: (event: LoadEvent) => void = () => undefined,
): Promise<LoadRun> {
  return new LoadPlayer(options, observe).play();
}

class LoadPlayer {
  readonly #options: LoadOptions;
  readonly #observe: (event: LoadEvent) => void;
  readonly #client: ProofClient;
  readonly #timeout: AbortSignal;
  readonly #stop: AbortSignal;
  readonly #recorder: Recorder;
  readonly #player: SessionPlayer;
  readonly #began = performance.now();
  readonly #sessions: SessionRun[] = [];
  readonly #backgroundCpu: BackgroundCpu;
  readonly #others: OtherSessions;

  constructor(options: LoadOptions, observe: (event: LoadEvent) => void) {
    this.#options = options;
    this.#observe = observe;
    const { url, key, requestTimeoutMs, plan, seed, inputSet, disturber } = options;
    const senders = plan.ratePerS === null ? plan.users : MAX_IN_FLIGHT;
    const connections = senders + 2;
    this.#client = new ProofClient({ url, key, requestTimeoutMs, connections });
    this.#timeout = AbortSignal.timeout(options.runTimeoutMs);
    this.#stop = AbortSignal.any([options.signal, this.#timeout]);
    this.#backgroundCpu = new BackgroundCpu(url);
    this.#recorder = new Recorder(inputSet.inputs);
    this.#others = new OtherSessions({
      ...{ client: this.#client, stop: this.#stop },
      now: () => this.#now(),
    });
    this.#player = new SessionPlayer({
      ...{ plan, inputSet, observe, disturber, others: this.#others },
      models: options.model?.split(',').filter((model) => model !== '') ?? [],
      ...{ client: this.#client, recorder: this.#recorder, stop: this.#stop },
      assignment: new Assignment(inputSet.inputs.length, plan.requests, seed),
      readingIntervalMs: options.readingIntervalMs,
      now: () => this.#now(),
    });
  }

  async play(): Promise<LoadRun> {
    const { plan, inputSet } = this.#options;
    const startedAt = new Date().toISOString();
    try {
      const before = await this.#readCounters();
      await this.#backgroundCpu.begin(await this.#readPids());
      await this.#others.quiet((sessions) => this.#observe({ kind: 'waiting', sessions }));
      let users = this.#usersNext();
      while (users > 0 && !this.#stop.aborted) {
        const number = this.#sessions.length + 1;
        this.#observe({ kind: 'session started', session: number, users });
        const session = await this.#player.play(number, users);
        this.#sessions.push(session);
        this.#observe({ kind: 'session ended', session });
        users = this.#usersNext();
      }
      const cut = users > 0 || this.#sessions.at(-1)?.state === 'stopped';
      const othersCpuPercent = await this.#backgroundCpu.end(await this.#readPids());
      const after = await this.#readCounters();
      const recycleCauses = await this.#readRecycles(startedAt);
      const cacheLives = parseCache(await this.#readLast('/v1/cache'));
      return {
        ...{ startedAt, durationMs: this.#now(), stopped: cut ? this.#whyStopped() : null },
        ...{ plan, inputSet, sessions: this.#sessions, counters: { before, after } },
        ...{ recycleCauses, cacheLives, othersCpuPercent },
        requests: this.#recorder.requests,
        requestTotals: this.#recorder.requestTotals,
        readings: this.#recorder.readings,
        readingTotals: this.#recorder.readingTotals,
      };
    } finally {
      this.#client.close();
    }
  }

  /**
   * Users of the next session; 0 when the run is over because
   *
   * 1. the planned sessions, or as many as a report holds, were played;
   * 2. the duration is over;
   * 3. a ramp has reached its maximum, or was refused and has tested the recovery.
   */
  #usersNext(): number {
    const { plan } = this.#options;
    const played = this.#sessions.length;
    if (played >= (plan.sessions ?? MAX_SESSIONS)) return 0;
    if (plan.durationMs !== null && this.#now() >= plan.durationMs) return 0;
    if (plan.profile !== 'ramp' || played === 0) return usersOf(plan, played + 1);
    const refused = this.#sessions.findIndex((session) => session.users.includes('failed'));
    if (refused === -1) {
      const most = this.#sessions.at(-1)?.users.length ?? 0;
      return most >= plan.users ? 0 : usersOf(plan, played + 1);
    }
    const carried = this.#sessions[refused - 1]?.users.length ?? 1;
    return refused === played - 1 ? Math.max(1, Math.floor(carried * RECOVERY_SHARE)) : 0;
  }

  async #readCounters(): Promise<Counters | null> {
    const text = await this.#readLast('/metrics');
    return typeof text === 'string' ? parseCounters(text) : null;
  }

  async #readPids(): Promise<readonly number[]> {
    const memory = parseMemory(await this.#readLast('/v1/memory'));
    return (memory?.processes ?? []).flatMap(({ pid }) => pid ?? []);
  }

  async #readRecycles(since: string): Promise<readonly string[] | null> {
    const query = new URLSearchParams({ kind: 'recycle', since, limit: String(MAX_RECYCLES) });
    const body = await this.#readLast(`/v1/receipts?${query}`);
    return body === null ? null : parseReceipts(body).map(({ cause }) => cause ?? 'no cause given');
  }

  /** The body of a reply; null without one. After a stop the time limit is short. */
  async #readLast(path: string): Promise<unknown> {
    const call = this.#stop.aborted ? { timeoutMs: CLOSING_CALL_MS } : {};
    const reply = await this.#client.get(path, call);
    return reply.ok ? reply.body : null;
  }

  #whyStopped(): string {
    return this.#timeout.aborted && !this.#options.signal.aborted
      ? `the whole run may take ${this.#options.runTimeoutMs} ms, and that time was over`
      : 'it was stopped by hand';
  }

  #now(): number {
    return performance.now() - this.#began;
  }
}
