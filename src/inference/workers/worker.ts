import { type ChildProcess, fork } from 'node:child_process';
import { PlimsollError } from '../../errors.js';
import { ALLOCATOR_ENVIRONMENT, LEAN_NODE_FLAGS } from '../../models/run/allocator.js';
import type { Gear } from '../../models/run/gear.js';
import { FrugalMemoryReader } from '../../system/frugal-reader.js';
import { unhurriedFor } from '../../system/priority.js';
import { type ProcessMemory, readProcessMemory } from '../../system/process-memory.js';
import { GivenBatches, type Takes } from './prefetch.js';
import type * as wire from './protocol.js';
import type { ModelTicket, WorkerAnswers, WorkerMessage, WorkerRequest } from './protocol.js';
import { WorkerGoneError } from './worker-gone.js';

/**
 * `starting` → `ready` → `leaving` (gets no new work) → `gone`; any state may go to `gone` at once.
 */
export type WorkerState = 'starting' | 'ready' | 'leaving' | 'gone';

export interface WorkerOptions {
  /** Its name in logs and receipts, never used twice. */
  readonly id: string;
  /** Path of the built worker-main module. */
  readonly module: string;
  readonly startTimeoutMs: number;
  /** Another one does its work until it is ready: it starts where others leave time, for a while. */
  readonly unhurried?: boolean;
  readonly onExit: (worker: Worker, reason: string) => void;
  /** A model is in the hot gear now. */
  readonly onShift?: (worker: Worker, model: string) => void;
}

/** Done in a worker whose process answers, before it counts as ready; a failure is of no consequence. */
export type WarmUp = (worker: Worker) => Promise<void>;

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** A model that a worker holds open. */
export interface LoadedModel {
  readonly digest: string;
  readonly loadedAtMs: number;
  lastUsedAtMs: number;
  gear: Gear;
  /** Batches that it has run here since it was opened. */
  batches: number;
  /** Settles when it has been opened. */
  readonly opened: Promise<number>;
}

export interface RunOptions {
  /** The worker is killed if it has not answered by then. */
  readonly timeoutMs: number;
  readonly gear?: Gear;
  readonly functions?: wire.RunRequest['functions'];
  /** How long it takes, where that is known: see {@link GivenBatches}. */
  readonly expectedMs?: number;
}

type Ran = WorkerAnswers['run'] & {
  readonly loadMs: number | undefined;
  readonly tookMs: number;
};

/** Longest start, and longest shift, at a low priority. */
const UNHURRIED_START_MS = 5000;
const UNHURRIED_SHIFT_MS = 1000;

/** The main process's side of one worker: its process, its state, and which models it holds. */
export class Worker {
  readonly id: string;
  readonly startedAtMs = Date.now();
  readonly #options: WorkerOptions;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #started: Promise<void>;
  #markStarted: (error?: Error) => void = () => undefined;
  readonly #exited: Promise<void>;
  #markExited: () => void = () => undefined;
  #state: WorkerState = 'starting';
  readonly #given = new GivenBatches();
  #shifting = false;
  #left = false;
  #completedBatches = 0;
  #users = 0;
  #baseline: ProcessMemory | undefined;
  #memory: FrugalMemoryReader<ProcessMemory | undefined> | undefined;
  /** Dropped once it is done: it holds the worker that this one replaces, and so on back to the first. */
  #warmUp: WarmUp | undefined;
  #hurry: () => void = () => undefined;
  #nextId = 1;

  constructor(options: WorkerOptions, warmUp?: WarmUp) {
    this.id = options.id;
    this.#options = options;
    this.#warmUp = warmUp;
    this.#started = new Promise((resolve, reject) => {
      this.#markStarted = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#started.catch(() => undefined);
    this.#exited = new Promise((resolve) => {
      this.#markExited = resolve;
    });
    this.#child = fork(options.module, [], {
      env: { ...process.env, ...ALLOCATOR_ENVIRONMENT },
      execArgv: [...LEAN_NODE_FLAGS],
      // Structured clones: a batch's way there and back takes a fifth less CPU than as JSON (bench messages).
      serialization: 'advanced',
      // What native code prints on stdout must not mix with the server's own lines.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    if (options.unhurried === true) this.#hurry = unhurriedFor(this.pid, UNHURRIED_START_MS);
    const timer = setTimeout(() => this.kill(), options.startTimeoutMs);
    this.#child.on('message', (message: WorkerMessage) => {
      if (message.type === 'ready') clearTimeout(timer);
      this.#receive(message);
    });
    this.#child.on('disconnect', () => this.#unreachable());
    this.#child.on('error', (error) => this.#end(error.message, timer));
    this.#child.on('exit', (code, signal) => this.#end(signal ?? `exit code ${code}`, timer));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** The model of the batch that it works on now. */
  get running(): string | undefined {
    return this.#given.first?.model;
  }

  get idle(): boolean {
    return this.takes === 'now';
  }

  /** Whether it takes a batch, and when it would begin with it. */
  get takes(): Takes {
    return this.#state === 'ready' && !this.#shifting ? this.#given.takes : 'nothing';
  }

  /** Whether it was told to leave: its end is then no accident. */
  get left(): boolean {
    return this.#left;
  }

  get completedBatches(): number {
    return this.#completedBatches;
  }

  /** Users of the server that have come since it was started. */
  get users(): number {
    return this.#users;
  }

  countUser(): void {
    this.#users += 1;
  }

  /** Its memory when it was ready and had loaded nothing yet. */
  get baseline(): ProcessMemory | undefined {
    return this.#baseline;
  }

  /** The models that it holds, or has been told to hold. */
  get loaded(): ReadonlyMap<string, LoadedModel> {
    return this.#loaded;
  }

  /** Models that it holds in the hot gear. */
  get hotCount(): number {
    let count = 0;
    for (const { gear } of this.#loaded.values()) if (gear === 'hot') count += 1;
    return count;
  }

  /** Settles when the process is ready, or has ended before that. */
  started(): Promise<void> {
    return this.#started;
  }

  exited(): Promise<void> {
    return this.#exited;
  }

  /**
   * Opens a model unless this state of it is open already.
   *
   * @returns the time that it took in ms; undefined if it was open.
   * @throws PlimsollError MODEL_UNUSABLE
   * @throws WorkerGoneError
   */
  async load(ticket: ModelTicket, gear: Gear = 'cold'): Promise<number | undefined> {
    const present = this.#loaded.get(ticket.id);
    if (present?.digest === ticket.digest) {
      // Whoever comes while it is being opened shares that, and its failure.
      await present.opened;
      return undefined;
    }
    const now = Date.now();
    const opened = this.#call({ type: 'load', model: ticket, gear }).then(({ loadMs }) => loadMs);
    const loaded: LoadedModel = {
      ...{ digest: ticket.digest, loadedAtMs: now, lastUsedAtMs: now },
      ...{ gear, batches: 0, opened },
    };
    this.#loaded.set(ticket.id, loaded);
    try {
      const loadMs = await opened;
      if (gear === 'hot') this.#options.onShift?.(this, ticket.id);
      return loadMs;
    } catch (error) {
      // It may have been unloaded and loaded anew meanwhile: that entry is another's.
      if (this.#loaded.get(ticket.id) === loaded) this.#loaded.delete(ticket.id);
      throw error;
    }
  }

  /** Releases a model. The books change at once: later work for it loads it again, in order. */
  async unload(model: string): Promise<WorkerAnswers['unload']> {
    this.#loaded.delete(model);
    return this.#call({ type: 'unload', model });
  }

  /**
   * Moves a model to the hot gear. The worker gets no batches until that is done: opening keeps its only
   * thread busy.
   *
   * @throws PlimsollError, WorkerGoneError; it then stays in the cold gear.
   */
  async shift(model: string, timeoutMs: number): Promise<WorkerAnswers['shift']> {
    const loaded = this.#loaded.get(model);
    this.#shifting = true;
    // Another worker answers meanwhile, and should not share a core with this one.
    const hurry = unhurriedFor(this.pid, UNHURRIED_SHIFT_MS);
    const timer = setTimeout(() => this.kill(), timeoutMs);
    try {
      const result = await this.#call({ type: 'shift', model });
      // It may have been unloaded meanwhile; what is loaded then is another one, and cold.
      if (loaded !== undefined) loaded.gear = 'hot';
      this.#options.onShift?.(this, model);
      return result;
    } catch (error) {
      // Not again at once: it has to run as much again before.
      if (loaded !== undefined) loaded.batches = 0;
      throw error;
    } finally {
      clearTimeout(timer);
      hurry();
      this.#shifting = false;
    }
  }

  /**
   * Loads the model if needed, in that gear, and runs one batch; the worker counts as busy until it is answered.
   *
   * @returns `tookMs`: from when the worker was free for it, loading included
   * @throws PlimsollError, WorkerGoneError
   */
  async run(
    ticket: ModelTicket,
    inputs: readonly string[],
    { timeoutMs, gear = 'cold', functions, expectedMs = Number.POSITIVE_INFINITY }: RunOptions,
  ): Promise<Ran> {
    const batch = this.#given.give(ticket.id, expectedMs);
    const timer = setTimeout(() => this.kill(), timeoutMs);
    try {
      // Both are sent at once, as they are worked off in order: no way there and back between them.
      const loading = this.load(ticket, gear);
      const running = this.#call({ type: 'run', model: ticket.id, inputs, functions });
      running.catch(() => undefined);
      const loadMs = await loading;
      const result = await running;
      this.#completedBatches += 1;
      const loaded = this.#loaded.get(ticket.id);
      if (loaded !== undefined) {
        loaded.lastUsedAtMs = Date.now();
        loaded.batches += 1;
      }
      return { ...result, loadMs, tookMs: this.#given.end(batch) };
    } catch (error) {
      this.#given.end(batch);
      if (!(error instanceof WorkerGoneError)) throw error;
      throw new WorkerGoneError(error.message, this.#given.wasBegun(batch));
    } finally {
      clearTimeout(timer);
    }
  }

  tokenize(asked: wire.TokenizeRequest): Promise<WorkerAnswers['tokenize']> {
    return this.#call(asked);
  }

  /** Settles when the batches that it has now have been answered or lost. */
  batchEnd(): Promise<void> {
    return this.#given.ended();
  }

  collect(): Promise<WorkerAnswers['collect']> {
    return this.#call({ type: 'collect' });
  }

  /**
   * Its memory, as closely as its size allows ({@link FrugalMemoryReader}). An idle worker reads its own; a
   * busy one cannot answer, so its file is read from here (in the thread pool, so that the main thread does
   * not wait).
   */
  async readMemory(): Promise<ProcessMemory | undefined> {
    const { pid } = this;
    if (this.#state === 'gone' || pid === undefined) return undefined;
    this.#memory ??= new FrugalMemoryReader(pid, () =>
      this.idle ? this.#call({ type: 'read' }).catch(() => undefined) : readProcessMemory(pid),
    );
    return this.#memory.read();
  }

  /** Takes no new work from now on; {@link stop} then ends it. */
  leave(): void {
    this.#left = true;
    if (this.#state !== 'gone') this.#state = 'leaving';
  }

  /** Lets the process end by itself once it has answered what it was asked. */
  async stop(graceMs: number): Promise<void> {
    this.leave();
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /**
   * The pipe of a process that was killed breaks before its exit is told: in between it must not
   * get work, or a batch could lose both of its attempts to one dead worker.
   */
  #unreachable(): void {
    if (this.#state === 'starting' || this.#state === 'ready') this.#state = 'leaving';
  }

  #call<R extends WorkerRequest>(request: R): Promise<WorkerAnswers[R['type']]> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'gone' || !this.#child.connected) {
        reject(new WorkerGoneError(`${this.id} is gone`));
        return;
      }
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ ...request, id }, (error) => {
        if (error === null) return;
        this.#pending.delete(id);
        this.#unreachable();
        reject(new WorkerGoneError(`${this.id} cannot be reached: ${error.message}`));
      });
    });
  }

  async #becomeReady(): Promise<void> {
    await this.#warmUp?.(this).catch(() => undefined);
    this.#warmUp = undefined;
    this.#hurry();
    if (this.#state === 'starting') this.#state = 'ready';
    this.#markStarted();
  }

  #receive(message: WorkerMessage): void {
    if (message.type === 'ready') {
      this.#baseline = message.memory;
      void this.#becomeReady();
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type === 'answer') pending?.resolve(message.value as never);
    else pending?.reject(new PlimsollError(message.code, message.message));
  }

  #end(reason: string, timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#warmUp = undefined;
    this.#hurry();
    const error = new WorkerGoneError(`${this.id} ended (${reason})`);
    this.#markStarted(error);
    this.#given.lose();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#loaded.clear();
    this.#markExited();
    this.#options.onExit(this, reason);
  }
}
