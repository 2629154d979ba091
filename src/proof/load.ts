/** Plays users against a server and collects what happened. Judges nothing, retries nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { Assignment } from './assignment.js';
import { ProofClient } from './client.js';
import { type Counters, parseCounters } from './counters.js';
import type { InputSet } from './inputs.js';
import type {
  LoadEvent,
  LoadRun,
  Reading,
  ReadingPhase,
  RequestRow,
  SessionRun,
  SessionState,
  UserOutcome,
} from './run.js';
import {
  type MemoryReply,
  parseClassify,
  parseEndReceipt,
  parseMemory,
  parseModels,
  parseSessionId,
  type Receipt,
} from './wire.js';

/** After a stop the open session is still ended at the server, for at most this long. */
const FAREWELL_MS = 5_000;

export interface LoadOptions {
  readonly url: string;
  /** Sessions, one after the other. */
  readonly sessions: number;
  /** Concurrent users in each session. */
  readonly users: number;
  /** Requests of each user, one after the other, each with one text. */
  readonly requests: number;
  readonly inputSet: InputSet;
  /** The model to ask for; the server's own default when left out. */
  readonly model?: string | undefined;
  /** Seed of the shuffle that deals the texts out. */
  readonly seed: number;
  /** Pause between two readings of the memory during a session. */
  readonly readingIntervalMs: number;
  readonly requestTimeoutMs: number;
  /** How long the whole run may take. */
  readonly runTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Plays the whole run. Never rejects for what the server does: that is what it is there to record. */
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
  readonly #assignment: Assignment;
  readonly #timeout: AbortSignal;
  readonly #stop: AbortSignal;
  readonly #began = performance.now();
  readonly #sessions: SessionRun[] = [];
  readonly #requests: RequestRow[] = [];
  readonly #readings: Reading[] = [];
  #readingsMissed = 0;

  constructor(options: LoadOptions, observe: (event: LoadEvent) => void) {
    this.#options = options;
    this.#observe = observe;
    const { url, requestTimeoutMs, users, requests, seed, inputSet } = options;
    this.#client = new ProofClient({ url, requestTimeoutMs, connections: users + 2 });
    this.#assignment = new Assignment(inputSet.inputs.length, users, requests, seed);
    this.#timeout = AbortSignal.timeout(options.runTimeoutMs);
    this.#stop = AbortSignal.any([options.signal, this.#timeout]);
  }

  async play(): Promise<LoadRun> {
    const { sessions, users, requests, inputSet } = this.#options;
    const startedAt = new Date().toISOString();
    try {
      const before = await this.#readCounters();
      for (let number = 1; number <= sessions && !this.#stop.aborted; number += 1) {
        this.#observe({ kind: 'session started', session: number });
        const session = await this.#playSession(number);
        this.#sessions.push(session);
        this.#observe({ kind: 'session ended', session });
      }
      const after = await this.#readCounters();
      return {
        startedAt,
        durationMs: this.#now(),
        stopped: this.#sessions.length < sessions || this.#cut() ? this.#whyStopped() : null,
        planned: { sessions, users, requests },
        inputSet,
        sessions: this.#sessions,
        requests: this.#requests,
        readings: this.#readings,
        readingsMissed: this.#readingsMissed,
        counters: { before, after },
      };
    } finally {
      this.#client.close();
    }
  }

  /** One session, in order: read, open, play with readings beside it, read, end, read, look at the models. */
  async #playSession(number: number): Promise<SessionRun> {
    const startedMs = this.#now();
    const before = await this.#read(number, 'before session');
    const opened = await this.#client.post(
      '/v1/sessions',
      { max_users: this.#options.users },
      { signal: this.#stop },
    );
    const id = opened.ok ? parseSessionId(opened.body) : null;
    if (id === null) {
      const problem = opened.ok
        ? 'the reply has no session id'
        : `${opened.code}: ${opened.message}`;
      return this.#notOpened(number, startedMs, before, problem);
    }

    const finished = new AbortController();
    const watching = this.#watch(number, finished.signal);
    const models = new Set<string>();
    const users = await Promise.all(
      Array.from({ length: this.#options.users }, (_, user) =>
        this.#playUser(number, user, id, models),
      ),
    );
    finished.abort();
    await watching;

    const beforeCleanup = await this.#read(number, 'before cleanup');
    const playedMs = this.#now();
    const end = await this.#endSession(id);
    const closedMs = this.#now();
    const after = await this.#read(number, 'after cleanup');
    return {
      number,
      id,
      ...end,
      state: users.includes('unfinished') ? 'stopped' : end.state,
      startedMs,
      playedMs,
      closedMs,
      users,
      models: [...models].sort(),
      modelsAfter: await this.#readModels(models),
      before,
      beforeCleanup,
      after,
    };
  }

  async #playUser(
    session: number,
    user: number,
    id: string,
    models: Set<string>,
  ): Promise<UserOutcome> {
    let outcome: UserOutcome = 'successful';
    for (let request = 0; request < this.#options.requests; request += 1) {
      if (this.#stop.aborted) return 'unfinished';
      const input = this.#assignment.inputOf(session - 1, user, request);
      const row = await this.#classify(session, user, id, input, models);
      if (row === null) return 'unfinished';
      this.#requests.push(row);
      this.#observe({ kind: 'request', row });
      if (!row.ok) outcome = 'failed';
    }
    return outcome;
  }

  /** One request; null when the run was stopped before its reply came: that is not the server's failure. */
  async #classify(
    session: number,
    user: number,
    id: string,
    input: number,
    models: Set<string>,
  ): Promise<RequestRow | null> {
    const { inputSet, model, users } = this.#options;
    const item = inputSet.inputs[input];
    const number = (session - 1) * users + user + 1;
    const startMs = this.#now();
    const reply = await this.#client.post(
      '/v1/classify',
      { inputs: item?.text ?? '', session: id, user: `user-${number}`, ...(model && { model }) },
      { signal: this.#stop },
    );
    if (!reply.ok && reply.code === 'ABORTED') return null;
    const answer = reply.ok ? parseClassify(reply.body) : null;
    if (answer !== null) models.add(answer.model);
    return {
      session,
      user: number,
      input,
      startMs,
      ms: reply.ms,
      status: reply.status,
      ok: answer !== null,
      label: answer?.label ?? null,
      expected: item?.label ?? null,
      cached: answer?.cached ?? null,
      code: reply.ok ? (answer === null ? 'BAD_REPLY' : null) : reply.code,
    };
  }

  /** Readings at an even pace until `finished`; the next one waits for the last. */
  async #watch(session: number, finished: AbortSignal): Promise<void> {
    const over = AbortSignal.any([finished, this.#stop]);
    while (!over.aborted) {
      await this.#read(session, 'during session');
      await delay(this.#options.readingIntervalMs, undefined, { signal: over }).catch(
        () => undefined,
      );
    }
  }

  async #endSession(
    id: string,
  ): Promise<{ state: SessionState; problem: string | null; receipt: Receipt | null }> {
    const reply = await this.#client.post(
      `/v1/sessions/${encodeURIComponent(id)}/end`,
      {},
      this.#lastWords(),
    );
    if (!reply.ok) {
      return { state: 'not ended', problem: `${reply.code}: ${reply.message}`, receipt: null };
    }
    const receipt = parseEndReceipt(reply.body);
    const problem = receipt === null ? 'the reply has no cleanup receipt' : null;
    return { state: 'ended', problem, receipt };
  }

  async #read(session: number, phase: ReadingPhase): Promise<Reading | null> {
    const reply = await this.#client.get('/v1/memory', this.#lastWords());
    const memory = reply.ok ? parseMemory(reply.body) : null;
    if (memory === null) {
      this.#readingsMissed += 1;
      return null;
    }
    const reading = toReading(this.#now(), session, phase, memory);
    this.#readings.push(reading);
    this.#observe({ kind: 'reading', reading });
    return reading;
  }

  async #readModels(used: ReadonlySet<string>): Promise<SessionRun['modelsAfter']> {
    const reply = await this.#client.get('/v1/models', this.#lastWords());
    const models = reply.ok ? parseModels(reply.body) : null;
    return models?.filter((model) => used.has(model.id)) ?? null;
  }

  async #readCounters(): Promise<Counters | null> {
    const reply = await this.#client.get('/metrics', this.#lastWords());
    return reply.ok && typeof reply.body === 'string' ? parseCounters(reply.body) : null;
  }

  #notOpened(
    number: number,
    startedMs: number,
    before: Reading | null,
    problem: string,
  ): SessionRun {
    const nowMs = this.#now();
    const outcome: UserOutcome = this.#stop.aborted ? 'unfinished' : 'failed';
    return {
      number,
      id: null,
      state: this.#stop.aborted ? 'stopped' : 'not opened',
      problem,
      startedMs,
      playedMs: nowMs,
      closedMs: nowMs,
      users: Array.from({ length: this.#options.users }, () => outcome),
      models: [],
      modelsAfter: null,
      receipt: null,
      before,
      beforeCleanup: null,
      after: null,
    };
  }

  /** Closing words are still spoken after a stop, but they are short. */
  #lastWords(): { timeoutMs?: number } {
    return this.#stop.aborted ? { timeoutMs: FAREWELL_MS } : {};
  }

  #cut(): boolean {
    return this.#sessions.some((session) => session.state === 'stopped');
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

function toReading(
  atMs: number,
  session: number,
  phase: ReadingPhase,
  memory: MemoryReply,
): Reading {
  const total = (of: 'private_mb' | 'pss_mb'): number | null => {
    let sum = 0;
    for (const process of memory.processes) {
      const size = process[of];
      if (size === null) return null;
      sum += size;
    }
    return memory.processes.length === 0 ? null : sum;
  };
  return {
    atMs,
    session,
    phase,
    totalMb: memory.server_total_mb,
    usedMb: memory.server_used_mb,
    percent: memory.server_percent,
    privateMb: total('private_mb'),
    pssMb: total('pss_mb'),
    loadLineMb: memory.load_line_mb,
    pressure: memory.pressure,
    processes: memory.processes.length,
    usersSinceRecycle: memory.users_since_recycle,
  };
}
