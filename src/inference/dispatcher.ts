import type { Abortable } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { LoadAdmission } from '../memory/admission.js';
import type { ReadyModel } from '../models/library.js';
import type { Gear } from '../models/run/gear.js';
import { handleOf, loadNeed } from './model-handles.js';
import { QueueGate } from './queue/queue-gate.js';
import { type BatchLimits, type Dispatch, plan, type WorkerView } from './queue/scheduler.js';
import { WaitingRows } from './queue/waiting-rows.js';
import {
  type Answer,
  answerRow,
  functionsOf,
  type Keyed,
  lostRow,
  newRequest,
  type Request,
  type Row,
} from './requests.js';
import type { WorkerPool } from './workers/pool.js';
import type { BatchResult, StepResult } from './workers/protocol.js';
import type { Worker } from './workers/worker.js';
import { WorkerGoneError } from './workers/worker-gone.js';

export interface DispatcherOptions {
  readonly pool: WorkerPool;
  readonly limits: BatchLimits;
  readonly threads: number;
  /** Most inputs that may wait. */
  readonly maxWaiting: number;
  /** Most of them by one user; see {@link QueueGate}. */
  readonly maxWaitingOfUser: number;
  /** Requests that would be answered later are refused on arrival. */
  readonly deadlineMs: number;
  readonly batchTimeoutMs: number;
  /** Asked for room before every load. */
  readonly admission: LoadAdmission;
  /** Called for every request that enters the queue. */
  readonly onArrival: (model: string) => void;
  /** Called for every batch that was answered. */
  readonly onBatch: (batch: BatchFacts) => void;
  /** Called for every load: the model was opened in that worker. */
  readonly onLoad: (model: string, worker: Worker, loadMs: number, gear: Gear) => void;
}

export interface BatchFacts {
  readonly model: string;
  readonly items: number;
  readonly tokenizeMs: number;
  readonly runMs: number;
  readonly retried: boolean;
}

const WARM_UP_TEXT = 'A text of some words, so that everything is compiled once. '.repeat(8);
/** Longest wait for room of a load that an operator asked for. */
const LOAD_WAIT_MS = 5000;
/** Inputs count with at most this many characters for each token that the model takes: the rest is cut. */
const CHARACTERS_PER_TOKEN = 6;

/** Owns the queue: hands inputs to workers as the scheduler decides, and joins the answers. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waiting: WaitingRows<Row>;
  readonly #gate: QueueGate;
  readonly #running = new Map<string, number>();
  /** For the key of each running row, the rows that will share its result. */
  readonly #runningKeys = new Map<string, Row[]>();
  /** Models whose load waits for room, with the error for callers whose deadline passes meanwhile. */
  readonly #held = new Map<string, PlimsollError>();
  #maxItems: number;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#maxItems = options.limits.maxItems;
    this.#waiting = new WaitingRows(options.limits.maxSize);
    this.#gate = new QueueGate(options);
  }

  /** Sets the most inputs of one batch: smaller batches take less memory. */
  setMaxItems(maxItems: number): void {
    this.#maxItems = Math.max(1, Math.min(maxItems, this.#options.limits.maxItems));
  }

  /** Inputs that wait for a worker. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Whether an input with that key waits or runs. */
  isComputing(key: string): boolean {
    return this.#runningKeys.has(key) || this.#waiting.hasKey(key);
  }

  /** Whether any input of the model waits or runs. */
  isWanted(model: string): boolean {
    if ((this.#running.get(model) ?? 0) > 0) return true;
    return this.#waiting.countOf(model) > 0;
  }

  /**
   * Runs the inputs and resolves when all are answered.
   *
   * @param user owner of the inputs: users are served in turn.
   * @param abort takes the inputs out of the queue; the signal is not read if the gate refuses the request.
   * @param keyed inputs with equal keys share one run, at the turn of the first of their users. A request
   *    must not contain a key twice.
   * @throws PlimsollError those of {@link QueueGate.check}, MODEL_UNUSABLE, WORKER_LOST; the signal's reason
   */
  submit(
    ready: ReadyModel,
    inputs: readonly string[],
    abort: Abortable,
    user = '',
    keyed?: Keyed,
  ): Promise<Answer> {
    const model = ready.model.id;
    const fits = ready.model.description.maxTokens * CHARACTERS_PER_TOKEN;
    const sizes = inputs.map((text) => Math.max(1, Math.min(text.length, fits)));
    const size = sizes.reduce((sum, each) => sum + each, 0);
    let expectedMs: number;
    try {
      const arrival = { model, user, count: inputs.length, size };
      expectedMs = this.#gate.check(arrival, this.#waiting, this.#workers());
    } catch (error) {
      return Promise.reject(error);
    }
    const { signal } = abort;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const cancel = () => this.#fail(request, signal.reason);
      const left = () => signal.removeEventListener('abort', cancel);
      const request = newRequest(
        {
          ...{ ready, keyed, expectedMs },
          resolve: (answer) => {
            left();
            this.#gate.learn(expectedMs, performance.now() - request.enqueuedAtMs);
            resolve(answer);
          },
          reject: (error) => {
            left();
            reject(error);
          },
        },
        inputs.length,
      );
      signal.addEventListener('abort', cancel, { once: true });
      this.#options.onArrival(model);
      inputs.forEach((text, index) => {
        const row = { model, user, size: sizes[index] ?? 1, request, index, text };
        this.#enter({ ...row, attempt: 1, alone: false, key: keyed?.keys[index] });
      });
      this.pump();
    });
  }

  /** Queues the row, or joins it to the running row with its key. */
  #enter(row: Row): void {
    row.request.rows.push(row);
    const running = row.key === undefined ? undefined : this.#runningKeys.get(row.key);
    if (running === undefined) this.#waiting.add(row);
    else running.push(row);
  }

  /** Hands out batches while there are any. Called on every arrival, completion and change of workers. */
  pump(): void {
    const limits = { ...this.#options.limits, maxItems: this.#maxItems };
    while (this.#waiting.size > 0) {
      const views = this.#views();
      if (views.length === 0) return;
      const dispatch = plan(this.#waiting, views, limits, this.#isHeld);
      if (dispatch === undefined) return;
      const worker = this.#options.pool.find(dispatch.worker);
      const settle = worker && this.#admit(worker, dispatch);
      if (worker === undefined || settle === undefined) this.#putBack(dispatch);
      else void this.#execute(worker, dispatch).finally(settle);
    }
  }

  readonly #isHeld = (model: string): boolean => this.#held.has(model);

  /** Workers that can take a batch. The scheduler prefers the first that has the model open, so hot ones come first. */
  #views(): readonly WorkerView[] {
    const takers = this.#options.pool.workers.filter(({ capacity }) => capacity !== 'none');
    if (takers.length > 1) takers.sort((a, b) => b.hotCount - a.hotCount);
    return takers.map(({ id, capacity, loaded }) => ({ id, capacity, models: loaded }));
  }

  /** Ready workers, at least one. */
  #workers(): number {
    const ready = this.#options.pool.workers.filter(({ state }) => state === 'ready');
    return Math.max(1, ready.length);
  }

  /** Puts rows back to the front in their order, except those whose caller has left. */
  #putBack({ rows, same }: Pick<Dispatch<Row>, 'rows' | 'same'>): void {
    for (const row of [...rows].reverse()) {
      for (const other of [...(same.get(row) ?? [])].reverse()) {
        if (!other.request.settled) this.#waiting.restore(other);
      }
      if (!row.request.settled) this.#waiting.putBack(row);
    }
  }

  /**
   * Asks for room if the batch needs a load.
   *
   * @returns call it when the batch is over; undefined if the batch cannot run now.
   */
  #admit(worker: Worker, { model, rows, same }: Dispatch<Row>): (() => void) | undefined {
    const ready = rows[0]?.request.ready;
    if (ready === undefined) return undefined;
    if (worker.loaded.get(model)?.digest === ready.form.digest) return () => undefined;
    try {
      const admission = this.#options.admission.ask(loadNeed(ready));
      if (admission.state === 'admitted') return admission.settle;
      this.#held.set(model, admission.refusal);
      const again = () => {
        this.#held.delete(model);
        this.pump();
      };
      admission.changed.then(again, again);
    } catch (error) {
      for (const row of withSame(rows, same)) this.#fail(row.request, error);
    }
    return undefined;
  }

  /**
   * Opens a model in every worker.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY
   */
  async load(ready: ReadyModel): Promise<void> {
    const handle = handleOf(ready, this.#options.threads);
    const workers = this.#options.pool.workers.filter(({ state }) => state === 'ready');
    for (const worker of workers) {
      if (worker.loaded.get(handle.id)?.digest === handle.digest) continue;
      const settle = await this.#admitted(ready);
      try {
        const loadMs = await worker.load(handle);
        if (loadMs !== undefined) this.#options.onLoad(ready.model.id, worker, loadMs, 'cold');
      } catch (error) {
        // One worker's death does not fail the load in the others.
        if (!(error instanceof WorkerGoneError)) throw error;
      } finally {
        settle();
      }
    }
  }

  /**
   * Opens a model in one worker and runs it once, so that no caller pays for page faults and compilation. Does
   * nothing if the load line has no room.
   */
  async warm(worker: Worker, ready: ReadyModel, gear: Gear = 'cold'): Promise<void> {
    const admission = this.#options.admission.ask(loadNeed(ready));
    if (admission.state !== 'admitted') return;
    try {
      const handle = handleOf(ready, this.#options.threads);
      const { batchTimeoutMs, onLoad } = this.#options;
      const options = { timeoutMs: batchTimeoutMs, gear };
      const { loadMs } = await worker.run(handle, [WARM_UP_TEXT], options);
      if (loadMs !== undefined) onLoad(ready.model.id, worker, loadMs, gear);
    } finally {
      admission.settle();
    }
  }

  /** Waits for room, at most {@link LOAD_WAIT_MS}. */
  async #admitted(ready: ReadyModel): Promise<() => void> {
    const until = performance.now() + LOAD_WAIT_MS;
    for (;;) {
      const admission = this.#options.admission.ask(loadNeed(ready));
      if (admission.state === 'admitted') return admission.settle;
      await admission.changed;
      if (performance.now() > until) throw admission.refusal;
    }
  }

  /**
   * Releases a model in every worker, unless it is wanted.
   *
   * @returns bytes freed, by worker; empty if it was wanted or not loaded.
   */
  async unload(model: string): Promise<readonly (StepResult & { readonly worker: string })[]> {
    if (this.isWanted(model)) return [];
    const holders = this.#options.pool.workers.filter(({ loaded }) => loaded.has(model));
    const results = await Promise.allSettled(
      holders.map(async (worker) => ({ ...(await worker.unload(model)), worker: worker.id })),
    );
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  async #execute(worker: Worker, { model, rows, same }: Dispatch<Row>): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    this.#running.set(model, (this.#running.get(model) ?? 0) + 1);
    const joined = new Map(rows.map((row) => [row, [...(same.get(row) ?? [])]]));
    for (const [{ key }, others] of joined) {
      if (key !== undefined) this.#runningKeys.set(key, others);
    }
    try {
      const inputs = rows.map((row) => row.text);
      const handle = handleOf(first.request.ready, this.#options.threads);
      const size = rows.reduce((sum, row) => sum + row.size, 0);
      const expectedMs = this.#gate.batchMs(model, size);
      const timeoutMs = this.#options.batchTimeoutMs;
      const options = { timeoutMs, expectedMs, functions: functionsOf(rows) };
      const result = await worker.run(handle, inputs, options);
      if (result.loadMs !== undefined) this.#options.onLoad(model, worker, result.loadMs, 'cold');
      this.#gate.observe(model, size, result.tookMs - (result.loadMs ?? 0));
      this.#leaveRunning(rows);
      this.#answer(rows, joined, result);
      const retried = rows.some((row) => row.attempt > 1);
      const { tokenizeMs, runMs } = result;
      this.#options.onBatch({ model, items: rows.length, tokenizeMs, runMs, retried });
    } catch (error) {
      this.#leaveRunning(rows);
      if (error instanceof WorkerGoneError) this.#retry(rows, joined, error.wasRunning);
      else for (const row of withSame(rows, joined)) this.#fail(row.request, error);
    } finally {
      this.#running.set(model, (this.#running.get(model) ?? 1) - 1);
      this.pump();
    }
  }

  /** From now on an equal input is a cache hit, or runs again. */
  #leaveRunning(rows: readonly Row[]): void {
    for (const { key } of rows) if (key !== undefined) this.#runningKeys.delete(key);
  }

  #answer(
    rows: readonly Row[],
    same: Dispatch<Row>['same'],
    result: BatchResult & { readonly tookMs: number },
  ): void {
    const begunMs = performance.now() - result.tookMs;
    const requests = withSame(rows, same).map((row) => row.request);
    for (const request of requests.length > 1 ? new Set(requests) : requests) {
      request.queueMs = Math.max(request.queueMs, begunMs - request.enqueuedAtMs);
      request.tokenizeMs += result.tokenizeMs;
      request.runMs += result.runMs;
    }
    for (const [index, row] of rows.entries()) {
      const of = result.rows[index];
      if (of !== undefined && row.key !== undefined) row.request.keyed?.onResult(row.key, of);
      for (const each of withSame([row], same)) {
        if (of !== undefined) answerRow(each, of);
        else {
          this.#fail(each.request, new PlimsollError('INTERNAL', 'a worker left an input out'));
        }
      }
    }
  }

  /** @param wereRunning whether the worker may have ended because of these rows */
  #retry(rows: readonly Row[], same: Dispatch<Row>['same'], wereRunning: boolean): void {
    for (const row of wereRunning ? withSame(rows, same) : []) {
      if (row.request.settled) continue;
      const lost = lostRow(row);
      if (lost !== undefined) this.#fail(row.request, lost);
    }
    this.#putBack({ rows, same });
    this.pump();
  }

  #fail(request: Request, error: unknown): void {
    if (request.settled) return;
    request.settled = true;
    const refusal = this.#held.get(request.ready.model.id);
    const late = error instanceof PlimsollError && error.code === 'DEADLINE_EXCEEDED';
    for (const row of request.rows) this.#waiting.remove(row);
    if (late) this.#gate.learn(request.expectedMs, performance.now() - request.enqueuedAtMs);
    if (late && refusal !== undefined) request.reject(refusal);
    else request.reject(error instanceof Error ? error : new Error(String(error)));
  }
}

/** The rows of a batch, each followed by those that share its result. */
function withSame(rows: readonly Row[], same: Dispatch<Row>['same']): readonly Row[] {
  const all: Row[] = [];
  for (const row of rows) {
    all.push(row);
    for (const other of same.get(row) ?? []) all.push(other);
  }
  return all;
}
