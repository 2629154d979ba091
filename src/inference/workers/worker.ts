import type { ChildProcess } from 'node:child_process';
import { PlimsollError } from '../../errors.js';
import type { Gear } from '../../models/run/gear.js';
import type { RowInput } from '../../models/run/row-input.js';
import { unhurriedFor } from '../../system/priority.js';
import type { ProcessMemory } from '../../system/process-memory.js';
import { settledWithin } from '../../system/time-limit.js';
import { WorkerChannel } from './channel.js';
import { type LoadedModel, OpenModels } from './open-models.js';
import { BatchPrefetch, type Capacity } from './prefetch.js';
import type { ModelHandle, TokenizeRequest, WorkerAnswers } from './protocol.js';
import { readMessage } from './read-answer.js';
import type { Ran, RunOptions } from './run-options.js';
import { replyLimit, type TimeLimit, wordsOf } from './time-limit.js';
import { BatchError, type Killed, WorkerGoneError } from './worker-gone.js';
import type { WorkerOptions } from './worker-options.js';
import { forkWorker, lookAt, workerMemoryReader } from './worker-process.js';

/** `starting` → `ready` → `leaving` (gets no new work) → `gone`; any state may become `gone` at once. */
export type WorkerState = 'starting' | 'ready' | 'leaving' | 'gone';

/** Runs in a new worker before it counts as ready; a failure is ignored. */
export type WarmUp = (worker: Worker) => Promise<void>;
/** A model that an operator or a warm-up opens may have to be read from a slow disk. */
const LOAD_TIMEOUT_MS = 60_000;
/** A warm-up saves the first callers time; one that takes longer than this saves nothing. */
const WARM_UP_TIMEOUT_MS = 30_000;
/** A process that was killed but is stuck in the kernel is given up after this; one without a pipe is killed. */
const EXIT_TIMEOUT_MS = 2000;

/** A start, and a shift, keep their low priority for at most this. */
const LOW_PRIORITY_START_MS = 5000;
const LOW_PRIORITY_SHIFT_MS = 1000;

/** One worker as the main process sees it: its process, its state and the models it holds. */
export class Worker {
  readonly id: string;
  readonly startedAtMs = Date.now();
  readonly #options: WorkerOptions<Worker>;
  readonly #child: ChildProcess;
  readonly #channel: WorkerChannel;
  readonly #replyLimit: TimeLimit;
  readonly #loaded = new OpenModels();
  readonly #started: Promise<void>;
  #markStarted: (error?: Error) => void = () => undefined;
  readonly #exited: Promise<void>;
  #markExited: () => void = () => undefined;
  #state: WorkerState = 'starting';
  readonly #batches = new BatchPrefetch();
  #left = false;
  #completedBatches = 0;
  #users = 0;
  #baseline: ProcessMemory | undefined;
  #memory: ReturnType<typeof workerMemoryReader> | undefined;
  /** Dropped when done: it references the worker that this one replaces, which references its own, and so on. */
  #warmUp: WarmUp | undefined;
  #restorePriority: () => void = () => undefined;
  /** Why this process was killed from here. */
  #killed: Killed | undefined;
  /** Kills a process that does not start; later, gives up one that does not end. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions<Worker>, warmUp?: WarmUp) {
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
    this.#child = forkWorker(options.module);
    if (options.lowPriority === true) {
      this.#restorePriority = unhurriedFor(this.pid, LOW_PRIORITY_START_MS);
    }
    this.#replyLimit = replyLimit(options.replyTimeoutMs);
    this.#channel = new WorkerChannel({
      id: options.id,
      child: this.#child,
      stalledMs: this.#replyLimit.budgetMs,
      mostBytes: options.mostPrivateBytes ?? Infinity,
      look: () => lookAt(this.pid),
      onOverdue: (request, ending, elapsedMs) => {
        this.kill({ ending, reason: wordsOf(ending, request, elapsedMs) });
      },
      onUnreachable: () => this.#unreachable(),
      onGarbage: (reason) => this.kill({ ending: 'garbled', reason }),
    });
    this.#timer = setTimeout(() => this.kill(), options.startTimeoutMs);
    this.#child.on('message', (message: unknown) => this.#receive(message));
    this.#child.on('disconnect', () => this.#unreachable());
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('exit', (code, signal) => this.#end(signal ?? `exit code ${code}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Expected time until it has run what was sent to it, in ms. */
  get leftMs(): number {
    return this.#batches.leftMs;
  }

  /** Model of the running batch, or of the other work that it does. */
  get running(): string | undefined {
    return this.#batches.running?.model;
  }

  get idle(): boolean {
    return this.capacity === 'now';
  }

  /** When this worker can start its next batch. */
  get capacity(): Capacity {
    return this.#state === 'ready' ? this.#batches.capacity : 'none';
  }

  /** Whether it was told to leave, so that its end is expected. */
  get left(): boolean {
    return this.#left;
  }

  get completedBatches(): number {
    return this.#completedBatches;
  }

  /** Whether it has completed a batch, or ended while it had work. */
  get hasWorked(): boolean {
    return this.#completedBatches > 0 || this.#batches.wasLost;
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
    return this.#loaded.all;
  }

  /** Models open in the hot gear. */
  get hotCount(): number {
    return this.#loaded.hotCount;
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
  load(handle: ModelHandle, gear: Gear = 'cold'): Promise<number | undefined> {
    return this.#busyWith(handle.id, () => this.#open(handle, gear, LOAD_TIMEOUT_MS));
  }

  async #open(handle: ModelHandle, gear: Gear, timeoutMs: number): Promise<number | undefined> {
    const present = this.#loaded.get(handle.id);
    if (present?.digest === handle.digest) {
      // Callers who come while it is being opened share the outcome, failure included.
      await present.opened;
      return undefined;
    }
    const limit = { budgetMs: timeoutMs, hardMs: timeoutMs };
    const loading = this.#channel.call({ type: 'load', model: handle, gear }, limit);
    const opened = loading.then(({ loadMs }) => loadMs);
    const loaded = this.#loaded.add(handle.id, handle.digest, gear, opened);
    try {
      const loadMs = await opened;
      if (gear === 'hot') this.#options.onShift?.(this, handle.id);
      return loadMs;
    } catch (error) {
      this.#loaded.removeFailed(handle.id, loaded);
      throw error;
    }
  }

  /** Releases a model. It is struck from {@link loaded} at once, so that later work for it loads it again. */
  async unload(model: string): Promise<WorkerAnswers['unload']> {
    this.#loaded.remove(model);
    return this.#channel.call({ type: 'unload', model }, this.#replyLimit);
  }

  /**
   * Moves a model to the hot gear. The worker gets no batches meanwhile: opening blocks its only thread.
   *
   * @throws PlimsollError, WorkerGoneError; the model then stays in the cold gear.
   */
  shift(model: string, timeoutMs: number): Promise<WorkerAnswers['shift']> {
    const loaded = this.#loaded.get(model);
    const limit = { budgetMs: timeoutMs, hardMs: timeoutMs };
    // Another worker serves meanwhile and should not lose CPU time to this.
    const restorePriority = unhurriedFor(this.pid, LOW_PRIORITY_SHIFT_MS);
    return this.#busyWith(model, async () => {
      try {
        const result = await this.#channel.call({ type: 'shift', model }, limit);
        // If it was unloaded meanwhile, this entry is no longer in the map.
        if (loaded !== undefined) loaded.gear = 'hot';
        this.#options.onShift?.(this, model);
        return result;
      } catch (error) {
        // The next attempt comes only after as many batches again.
        if (loaded !== undefined) loaded.batches = 0;
        throw error;
      } finally {
        restorePriority();
      }
    });
  }

  /**
   * Loads the model if needed and runs one batch; the worker counts as busy until it answers.
   *
   * @returns `tookMs` since the worker was free for the batch, loading included
   * @throws PlimsollError the model cannot be opened; BatchError the batch failed; WorkerGoneError
   */
  async run(handle: ModelHandle, inputs: readonly RowInput[], options: RunOptions): Promise<Ran> {
    const { timeoutMs, budgetMs, gear = 'cold', expectedMs = Infinity, prefetchMs } = options;
    const { functions, keep, tokens, bounds } = options;
    const batch = this.#batches.assign(handle.id, expectedMs, {
      ...{ shortMs: prefetchMs, batchTokens: bounds?.tokens },
    });
    const limit = { budgetMs: budgetMs ?? timeoutMs, hardMs: timeoutMs };
    try {
      // Sent together to save a round trip: the worker handles its messages in order.
      const loading = this.#open(handle, gear, timeoutMs);
      const of = { functions, keep, tokens, bounds };
      const request = { type: 'run', model: handle.id, inputs, ...of } as const;
      const running = this.#channel.call(request, limit, handle.threads);
      const ran = running.catch((error: unknown) => {
        throw error instanceof PlimsollError ? new BatchError(error) : error;
      });
      ran.catch(() => undefined);
      const loadMs = await loading.catch(async (error: unknown) => {
        // What is told of the load is not the batch's own stage.
        if (error instanceof WorkerGoneError) await ran;
        throw error;
      });
      const result = await ran;
      this.#completedBatches += 1;
      this.#loaded.countBatch(handle.id);
      return { ...result, loadMs, tookMs: this.#batches.finish(batch) };
    } catch (error) {
      this.#batches.finish(batch);
      throw error;
    }
  }

  /** Asks for its bundles back: it runs the present batch of one to its end, and what is left is answered as not done. */
  recall(): void {
    this.#batches.recalled();
    this.#channel.tell({ type: 'recall' });
  }

  /** What it would recall, and whether it has: see {@link BatchPrefetch}. */
  get bundles(): Pick<BatchPrefetch, 'recallTokens' | 'isRecalled'> {
    return this.#batches;
  }

  /** Does other work than a batch: no batch is sent to wait behind it. */
  async #busyWith<T>(model: string, work: () => Promise<T>): Promise<T> {
    const entry = this.#batches.assign(model, Infinity);
    try {
      return await work();
    } finally {
      this.#batches.finish(entry);
      this.#options.onFree?.();
    }
  }

  /** Resolves when its work has been answered or lost. */
  drained(): Promise<void> {
    return this.#batches.drained();
  }

  /** Tokens of texts as a model sees them; the model need not be loaded. */
  tokenize(asked: TokenizeRequest, limit: TimeLimit): Promise<WorkerAnswers['tokenize']> {
    return this.#busyWith(asked.model, () => this.#channel.call(asked, limit));
  }

  collect(): Promise<WorkerAnswers['collect']> {
    return this.#channel.call({ type: 'collect' }, this.#replyLimit);
  }

  /** Its memory; undefined once it is gone. Waits for no answer of the worker for long. */
  async readMemory(): Promise<ProcessMemory | undefined> {
    const { pid } = this;
    if (this.#state === 'gone' || pid === undefined) return undefined;
    this.#memory ??= workerMemoryReader(pid, () =>
      this.idle ? this.#channel.call({ type: 'read' }, this.#replyLimit) : undefined,
    );
    return this.#memory.read();
  }

  /** Checks that an idle worker still answers: it is killed if it does not. */
  checkAlive(): void {
    const { budgetMs } = this.#replyLimit;
    if (this.#state !== 'ready' || this.#channel.silentMs < budgetMs / 2) return;
    this.#channel.call({ type: 'ping' }, this.#replyLimit).catch(() => undefined);
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

  /** @param why what is told of its end; by default that it was killed. */
  kill(why?: Killed): void {
    if (this.#state === 'gone') return;
    this.#killed ??= why;
    this.#unreachable();
    this.#child.kill('SIGKILL');
    clearTimeout(this.#timer);
    const giveUp = () => this.#end('it did not end when it was killed');
    this.#timer = setTimeout(giveUp, EXIT_TIMEOUT_MS).unref();
  }

  /**
   * The pipe of a killed process breaks before its exit is reported. It must get no work in between, or a
   * batch could lose two attempts to one dead worker. One that only closed its pipe is killed.
   */
  #unreachable(): void {
    if (this.#state !== 'starting' && this.#state !== 'ready') return;
    this.#state = 'leaving';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kill(), EXIT_TIMEOUT_MS).unref();
  }

  async #becomeReady(): Promise<void> {
    const warmUp = this.#warmUp?.(this).catch(() => undefined);
    this.#warmUp = undefined;
    if (warmUp !== undefined) await settledWithin(warmUp, WARM_UP_TIMEOUT_MS);
    this.#restorePriority();
    if (this.#state === 'starting') this.#state = 'ready';
    this.#markStarted();
  }

  #receive(raw: unknown): void {
    const message = readMessage(raw);
    if (message?.type !== 'ready') {
      this.#channel.receive(message);
      return;
    }
    clearTimeout(this.#timer);
    this.#baseline = message.memory;
    void this.#becomeReady();
  }

  #end(exit: string): void {
    clearTimeout(this.#timer);
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#warmUp = undefined;
    this.#restorePriority();
    const { ending = 'ended', reason = exit } = this.#killed ?? {};
    const error = new WorkerGoneError(`${this.id} ended (${reason})`, { ending });
    this.#markStarted(error);
    this.#batches.workerEnded();
    this.#channel.close(error);
    this.#loaded.clear();
    this.#markExited();
    this.#options.onExit(this, reason);
  }
}
