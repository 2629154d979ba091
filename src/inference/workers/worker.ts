import { type ChildProcess, fork } from 'node:child_process';
import { PlimsollError } from '../../errors.js';
import type { Gear } from '../../models/run/gear.js';
import { FrugalMemoryReader } from '../../system/frugal-reader.js';
import { unhurriedFor } from '../../system/priority.js';
import { type ProcessMemory, readProcessMemory } from '../../system/process-memory.js';
import { modelProcessOptions } from '../../system/process-tuning.js';
import { BatchPrefetch, type Capacity } from './prefetch.js';
import type { ModelHandle, WorkerAnswers, WorkerMessage, WorkerRequest } from './protocol.js';
import { WorkerGoneError } from './worker-gone.js';

/** `starting` → `ready` → `leaving` (gets no new work) → `gone`; any state may become `gone` at once. */
export type WorkerState = 'starting' | 'ready' | 'leaving' | 'gone';

export interface WorkerOptions {
  /** Name in logs and receipts, never reused. */
  readonly id: string;
  /** Path of the built worker-main module. */
  readonly module: string;
  readonly startTimeoutMs: number;
  /** Starts at a low priority: another worker serves until this one is ready. */
  readonly lowPriority?: boolean;
  readonly onExit: (worker: Worker, reason: string) => void;
  /** A model has moved to the hot gear. */
  readonly onShift?: (worker: Worker, model: string) => void;
}

/** Runs in a new worker before it counts as ready; a failure is ignored. */
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
  /** Batches run here since it was opened. */
  batches: number;
  /** Load time in ms; rejects if the model cannot be opened. */
  readonly opened: Promise<number>;
}

export interface RunOptions {
  /** The worker is killed if it has not answered after this. */
  readonly timeoutMs: number;
  readonly gear?: Gear;
  /** Expected run time; undefined while nothing was measured. See {@link BatchPrefetch}. */
  readonly expectedMs?: number;
}

type Ran = WorkerAnswers['run'] & {
  readonly loadMs: number | undefined;
  readonly tookMs: number;
};

/** A start, and a shift, keep their low priority for at most this. */
const LOW_PRIORITY_START_MS = 5000;
const LOW_PRIORITY_SHIFT_MS = 1000;

/** One worker as the main process sees it: its process, its state and the models it holds. */
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
  readonly #batches = new BatchPrefetch();
  #shifting = false;
  #left = false;
  #completedBatches = 0;
  #users = 0;
  #baseline: ProcessMemory | undefined;
  #memory: FrugalMemoryReader<ProcessMemory | undefined> | undefined;
  /** Dropped when done: it references the worker that this one replaces, which references its own, and so on. */
  #warmUp: WarmUp | undefined;
  #restorePriority: () => void = () => undefined;
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
      ...modelProcessOptions(),
      // Structured clones: a round trip takes a fifth less CPU than with JSON (bench messages).
      serialization: 'advanced',
      // Native code may print on stdout; that must not mix with the server's own lines.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    if (options.lowPriority === true) {
      this.#restorePriority = unhurriedFor(this.pid, LOW_PRIORITY_START_MS);
    }
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

  /** Model of the running batch. */
  get running(): string | undefined {
    return this.#batches.running?.model;
  }

  get idle(): boolean {
    return this.capacity === 'now';
  }

  /** When this worker can start its next batch. */
  get capacity(): Capacity {
    return this.#state === 'ready' && !this.#shifting ? this.#batches.capacity : 'none';
  }

  /** Whether it was told to leave, so that its end is expected. */
  get left(): boolean {
    return this.#left;
  }

  get completedBatches(): number {
    return this.#completedBatches;
  }

  /** Users who have come to the server since this worker was started. */
  get users(): number {
    return this.#users;
  }

  countUser(): void {
    this.#users += 1;
  }

  /** Its memory when it became ready, before any model was loaded. */
  get baseline(): ProcessMemory | undefined {
    return this.#baseline;
  }

  /** Models that are open here or are being opened. */
  get loaded(): ReadonlyMap<string, LoadedModel> {
    return this.#loaded;
  }

  /** Models open in the hot gear. */
  get hotCount(): number {
    let count = 0;
    for (const { gear } of this.#loaded.values()) if (gear === 'hot') count += 1;
    return count;
  }

  /** Resolves when the process is ready; rejects if it ends before. */
  started(): Promise<void> {
    return this.#started;
  }

  exited(): Promise<void> {
    return this.#exited;
  }

  /**
   * Opens a model unless this version of it is open already.
   *
   * @returns load time in ms; undefined if it was open.
   * @throws PlimsollError MODEL_UNUSABLE
   * @throws WorkerGoneError
   */
  async load(handle: ModelHandle, gear: Gear = 'cold'): Promise<number | undefined> {
    const present = this.#loaded.get(handle.id);
    if (present?.digest === handle.digest) {
      // Callers who come while it is being opened share the outcome, failure included.
      await present.opened;
      return undefined;
    }
    const now = Date.now();
    const opened = this.#call({ type: 'load', model: handle, gear }).then(({ loadMs }) => loadMs);
    const loaded: LoadedModel = {
      ...{ digest: handle.digest, loadedAtMs: now, lastUsedAtMs: now },
      ...{ gear, batches: 0, opened },
    };
    this.#loaded.set(handle.id, loaded);
    try {
      const loadMs = await opened;
      if (gear === 'hot') this.#options.onShift?.(this, handle.id);
      return loadMs;
    } catch (error) {
      // Unloaded and loaded again meanwhile: that entry belongs to the newer load.
      if (this.#loaded.get(handle.id) === loaded) this.#loaded.delete(handle.id);
      throw error;
    }
  }

  /** Releases a model. It is struck from {@link loaded} at once, so that later work for it loads it again. */
  async unload(model: string): Promise<WorkerAnswers['unload']> {
    this.#loaded.delete(model);
    return this.#call({ type: 'unload', model });
  }

  /**
   * Moves a model to the hot gear. The worker gets no batches meanwhile: opening blocks its only thread.
   *
   * @throws PlimsollError, WorkerGoneError; the model then stays in the cold gear.
   */
  async shift(model: string, timeoutMs: number): Promise<WorkerAnswers['shift']> {
    const loaded = this.#loaded.get(model);
    this.#shifting = true;
    // Another worker serves meanwhile and should not lose CPU time to this.
    const restorePriority = unhurriedFor(this.pid, LOW_PRIORITY_SHIFT_MS);
    const timer = setTimeout(() => this.kill(), timeoutMs);
    try {
      const result = await this.#call({ type: 'shift', model });
      // If it was unloaded meanwhile, this entry is no longer in the map.
      if (loaded !== undefined) loaded.gear = 'hot';
      this.#options.onShift?.(this, model);
      return result;
    } catch (error) {
      // The next attempt comes only after as many batches again.
      if (loaded !== undefined) loaded.batches = 0;
      throw error;
    } finally {
      clearTimeout(timer);
      restorePriority();
      this.#shifting = false;
    }
  }

  /**
   * Loads the model if needed and runs one batch; the worker counts as busy until it answers.
   *
   * @returns `tookMs` since the worker was free for the batch, loading included
   * @throws PlimsollError, WorkerGoneError
   */
  async run(
    handle: ModelHandle,
    inputs: readonly string[],
    { timeoutMs, gear = 'cold', expectedMs = Number.POSITIVE_INFINITY }: RunOptions,
  ): Promise<Ran> {
    const batch = this.#batches.assign(handle.id, expectedMs);
    const timer = setTimeout(() => this.kill(), timeoutMs);
    try {
      // Sent together to save a round trip: the worker handles its messages in order.
      const loading = this.load(handle, gear);
      const running = this.#call({ type: 'run', model: handle.id, inputs });
      running.catch(() => undefined);
      const loadMs = await loading;
      const result = await running;
      this.#completedBatches += 1;
      const loaded = this.#loaded.get(handle.id);
      if (loaded !== undefined) {
        loaded.lastUsedAtMs = Date.now();
        loaded.batches += 1;
      }
      return { ...result, loadMs, tookMs: this.#batches.finish(batch) };
    } catch (error) {
      this.#batches.finish(batch);
      if (!(error instanceof WorkerGoneError)) throw error;
      throw new WorkerGoneError(error.message, this.#batches.wasRunning(batch));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when its batches have been answered or lost. */
  drained(): Promise<void> {
    return this.#batches.drained();
  }

  collect(): Promise<WorkerAnswers['collect']> {
    return this.#call({ type: 'collect' });
  }

  /**
   * Its memory, as exactly as its size allows ({@link FrugalMemoryReader}). An idle worker reads its own. A
   * busy one cannot answer, so its `/proc` file is read here, in the thread pool.
   */
  async readMemory(): Promise<ProcessMemory | undefined> {
    const { pid } = this;
    if (this.#state === 'gone' || pid === undefined) return undefined;
    this.#memory ??= new FrugalMemoryReader(pid, () =>
      this.idle ? this.#call({ type: 'read' }).catch(() => undefined) : readProcessMemory(pid),
    );
    return this.#memory.read();
  }

  /** Gets no new work from now on; {@link stop} then ends it. */
  leave(): void {
    this.#left = true;
    if (this.#state !== 'gone') this.#state = 'leaving';
  }

  /** Lets the process exit once it has answered its requests; kills it after `graceMs`. */
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
   * The pipe of a killed process breaks before its exit is reported. It must get no work in between, or a
   * batch could lose two attempts to one dead worker.
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
    this.#restorePriority();
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
    this.#restorePriority();
    const error = new WorkerGoneError(`${this.id} ended (${reason})`);
    this.#markStarted(error);
    this.#batches.workerEnded();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#loaded.clear();
    this.#markExited();
    this.#options.onExit(this, reason);
  }
}
