/** Plays one session: opens it, lets its users send requests, samples memory meanwhile, ends it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PlimsollClient } from '../../client/client.js';
import type { ClassifyRequest } from '../../contract/classify.js';
import {
  type MemoryReply,
  parseClassify,
  parseEndReceipt,
  parseMemory,
  parseModels,
  parseSessionId,
  type Receipt,
} from '../replies.js';
import type { Assignment } from './assignment.js';
import type { ProofClient } from './client.js';
import type { InputSet } from './inputs.js';
import type { OtherSessions } from './other-sessions.js';
import { controlRequest, type Plan } from './plan.js';
import { type Recorder, SessionRecorder } from './recorder.js';
import type {
  Disturbance,
  Disturber,
  LoadEvent,
  Reading,
  ReadingPhase,
  RequestRow,
  SessionRun,
  SessionState,
  UserOutcome,
} from './run.js';
import { closedLoop, openLoop, type UsersOptions } from './users.js';

/** Time limit of each request after a stop: the open session is still ended at the server. */
export const CLOSING_CALL_MS = 5_000;

export interface SessionPlayerOptions {
  readonly plan: Plan;
  readonly client: ProofClient;
  readonly recorder: Recorder;
  readonly assignment: Assignment;
  readonly inputSet: InputSet;
  /** Assigned to users in turn; empty: the server's default. */
  readonly models: readonly string[];
  readonly readingIntervalMs: number;
  readonly stop: AbortSignal;
  /** Milliseconds since the run began. */
  readonly now: () => number;
  readonly observe: (event: LoadEvent) => void;
  readonly disturber: Disturber | undefined;
  readonly others: OtherSessions;
}

export class SessionPlayer {
  readonly #options: SessionPlayerOptions;
  #recorder = new SessionRecorder();
  /** Users of the sessions before this one, and including it. */
  #earlierUsers = 0;
  #allUsers = 0;

  constructor(options: SessionPlayerOptions) {
    this.#options = options;
  }

  /** One session, in order: read memory, open, play while sampling, read, end, read, list the models. */
  async play(number: number, users: number): Promise<SessionRun> {
    const { client, stop, now, others } = this.#options;
    this.#recorder = new SessionRecorder();
    this.#earlierUsers = this.#allUsers;
    this.#allUsers += users;
    const startedMs = now();
    const before = await this.#read(number, 'before session');
    const opened = await client.ask((server) => server.openSession(users), { signal: stop });
    const id = opened.ok ? parseSessionId(opened.body) : null;
    if (id === null) {
      const problem = opened.ok
        ? 'the reply has no session id'
        : `${opened.code}: ${opened.message}`;
      return this.#notOpened({ number, users, startedMs, before, problem });
    }
    const models = new Set<string>();
    const { outcomes, disturbance } = await this.#playUsers(number, users, id, models);
    const beforeCleanup = await this.#read(number, 'before cleanup');
    const othersBefore = await others.busy(id);
    const playedMs = now();
    const end = await this.#end(id);
    const closedMs = now();
    const after = await this.#read(number, 'after cleanup');
    const modelsAfter = await this.#readModels(models);
    const otherSessions = Math.max(othersBefore, await others.busy(id));
    const { requests, processCounts, usersFell } = this.#recorder;
    return {
      number,
      id,
      ...end,
      state: outcomes.includes('unfinished') ? 'stopped' : end.state,
      startedMs,
      playedMs,
      closedMs,
      users: outcomes,
      models: [...models].sort(),
      modelsAfter,
      otherSessions,
      ...{ requests, ...this.#recorder.highest, processCounts, usersFell, disturbance },
      ...{ before, beforeCleanup, after },
    };
  }

  async #playUsers(number: number, users: number, id: string, models: Set<string>) {
    const { plan, stop, now, disturber, observe } = this.#options;
    const control = controlRequest(plan);
    const finished = new AbortController();
    const watching = this.#watch(number, finished.signal);
    let disturbed = true;
    const disturbing = (disturber?.(number, stop) ?? Promise.resolve(null)).finally(() => {
      disturbed = false;
    });
    const options: UsersOptions = {
      ...{ users, requests: plan.requests, stop, now },
      barrierBefore: control === null ? null : control - 1,
      // Without a disturbance this is false after one turn of the event loop.
      goOn: () => disturbed && disturber !== undefined && !stop.aborted,
      send: async (user, request, dueMs) => {
        const row = await this.#classify({ number, id, user, request, dueMs }, models);
        if (row === null) return null;
        this.#options.recorder.request(row);
        this.#recorder.request(row);
        observe({ kind: 'request', row });
        return row;
      },
    };
    const outcomes: readonly UserOutcome[] = await (plan.ratePerS === null
      ? closedLoop(options)
      : openLoop(options, plan.ratePerS));
    const disturbance: Disturbance | null = await disturbing;
    finished.abort();
    await watching;
    return { outcomes, disturbance };
  }

  /** One request; null when the run was stopped before the reply: not a failure of the server. */
  async #classify(
    turn: {
      readonly number: number;
      readonly id: string;
      readonly user: number;
      readonly request: number;
      readonly dueMs: number;
    },
    models: Set<string>,
  ): Promise<RequestRow | null> {
    const { inputSet, models: wanted, client, stop, assignment, now } = this.#options;
    const user = this.#earlierUsers + turn.user;
    const input = assignment.inputOf(user, turn.request);
    const item = inputSet.inputs[input];
    const model = wanted[user % wanted.length];
    const lateMs = Math.max(0, now() - turn.dueMs);
    const asked: ClassifyRequest = {
      ...{ inputs: item?.text ?? '', session: turn.id, user: `user-${user + 1}` },
      ...(model && { model }),
    };
    const reply = await client.ask((server) => server.classify(asked), { signal: stop });
    if (!reply.ok && reply.code === 'ABORTED') return null;
    const answer = reply.ok ? parseClassify(reply.body) : null;
    if (answer !== null) models.add(answer.model);
    return {
      ...{ session: turn.number, user: user + 1, request: turn.request + 1, input },
      ...{ startMs: turn.dueMs, lateMs, ms: lateMs + reply.ms },
      status: reply.ok ? 200 : reply.status,
      ok: answer !== null,
      label: answer?.label ?? null,
      expected: item?.label ?? null,
      cached: answer?.cached ?? null,
      code: reply.ok ? (answer === null ? 'BAD_REPLY' : null) : reply.code,
    };
  }

  /** Samples memory at a fixed interval until `finished`, one reading at a time. */
  async #watch(session: number, finished: AbortSignal): Promise<void> {
    const over = AbortSignal.any([finished, this.#options.stop]);
    while (!over.aborted) {
      await this.#read(session, 'during session');
      await delay(this.#options.readingIntervalMs, undefined, { signal: over }).catch(
        () => undefined,
      );
    }
  }

  async #end(
    id: string,
  ): Promise<{ state: SessionState; problem: string | null; receipt: Receipt | null }> {
    const end = (server: PlimsollClient) => server.endSession(id);
    const reply = await this.#options.client.ask(end, this.#closingCall());
    if (!reply.ok) {
      return { state: 'not ended', problem: `${reply.code}: ${reply.message}`, receipt: null };
    }
    const receipt = parseEndReceipt(reply.body);
    const problem = receipt === null ? 'the reply has no cleanup receipt' : null;
    return { state: 'ended', problem, receipt };
  }

  async #read(session: number, phase: ReadingPhase): Promise<Reading | null> {
    const { client, recorder, now, observe } = this.#options;
    const reply = await client.ask((server) => server.memory(), this.#closingCall());
    const memory = reply.ok ? parseMemory(reply.body) : null;
    if (memory === null) {
      recorder.readingMissed();
      return null;
    }
    const reading = toReading(now(), session, phase, memory);
    recorder.reading(reading);
    this.#recorder.reading(reading);
    observe({ kind: 'reading', reading });
    return reading;
  }

  async #readModels(used: ReadonlySet<string>): Promise<SessionRun['modelsAfter']> {
    const list = async (server: PlimsollClient) => ({ models: await server.models() });
    const reply = await this.#options.client.ask(list, this.#closingCall());
    const models = reply.ok ? parseModels(reply.body) : null;
    return models?.filter((model) => used.has(model.id)) ?? null;
  }

  #notOpened(of: {
    readonly number: number;
    readonly users: number;
    readonly startedMs: number;
    readonly before: Reading | null;
    readonly problem: string;
  }): SessionRun {
    const { stop, now } = this.#options;
    const nowMs = now();
    const outcome: UserOutcome = stop.aborted ? 'unfinished' : 'failed';
    const { requests, processCounts, usersFell } = this.#recorder;
    return {
      ...{ number: of.number, id: null, problem: of.problem },
      state: stop.aborted ? 'stopped' : 'not opened',
      ...{ startedMs: of.startedMs, playedMs: nowMs, closedMs: nowMs },
      users: Array.from({ length: of.users }, () => outcome),
      ...{ models: [], modelsAfter: null, receipt: null, otherSessions: 0 },
      ...{ requests, ...this.#recorder.highest, processCounts, usersFell, disturbance: null },
      ...{ before: of.before, beforeCleanup: null, after: null },
    };
  }

  /** Requests are still sent after a stop, with a short time limit. */
  #closingCall(): { timeoutMs?: number } {
    return this.#options.stop.aborted ? { timeoutMs: CLOSING_CALL_MS } : {};
  }
}

function toReading(
  atMs: number,
  session: number,
  phase: ReadingPhase,
  memory: MemoryReply,
): Reading {
  const total = (of: 'private_mb' | 'pss_mb', role?: string): number | null => {
    let sum = 0;
    for (const process of memory.processes) {
      if (role !== undefined && process.role !== role) continue;
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
    workersMb: total('private_mb', 'worker'),
    pssMb: total('pss_mb'),
    loadLineMb: memory.load_line_mb,
    pressure: memory.pressure,
    processes: memory.processes.length,
    usersSinceRecycle: memory.users_since_recycle,
  };
}
