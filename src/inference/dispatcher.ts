import type { Abortable } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { ReadyModel } from '../models/library.js';
import type { Gear } from '../models/run/gear.js';
import type { RowInput } from '../models/run/row-input.js';
import { inputsOf, liveInputOf, optionsOf, sizesOf, workOf } from './batch-inputs.js';
import { CondemnedForms } from './damaged-forms.js';
import type { DispatcherOptions } from './dispatcher-options.js';
import { Faults } from './faults/faults.js';
import { inputRefused } from './faults/refused-texts.js';
import { type Fault, faultOf, verdictOn } from './faults/verdict.js';
import { HeldModels } from './loads/held-models.js';
import { handleOf } from './loads/model-handles.js';
import { ModelLoads } from './loads/model-loads.js';
import { allRowsOf, lateRows, rowSizesOf } from './queue/dispatched-rows.js';
import { type Expectation, givenUp, NO_EXPECTATION, QueueGate } from './queue/queue-gate.js';
import { recallBundles } from './queue/recall.js';
import type { BatchLimits, Dispatch, WorkerView } from './queue/scheduler.js';
import { type Moment, WaitingClasses } from './queue/waiting-classes.js';
import {
  type Answer,
  answerBatch,
  type Keyed,
  newRow,
  openRequest,
  positionOf,
  type Request,
  type Row,
  withJoined,
} from './requests.js';
import { type JoinedRows, RunningBatches } from './running-batches.js';
import type { StepResult } from './workers/protocol.js';
import type { Ran } from './workers/run-options.js';
import type { Worker } from './workers/worker.js';

interface Arriving extends Pick<Request, 'ready' | 'keyed' | 'isJob' | 'expectation'> {
  readonly inputs: readonly RowInput[];
  readonly sizes: readonly number[];
  readonly user: string;
}

/** Owns the queue: hands inputs to workers as the scheduler decides, and joins the answers. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waiting: WaitingClasses<Row>;
  readonly #gate: QueueGate;
  readonly #faults: Faults;
  readonly #loads: ModelLoads;
  readonly #running = new RunningBatches();
  readonly #held: HeldModels;
  readonly condemned: CondemnedForms;
  #limits: BatchLimits;
  #later: NodeJS.Timeout | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#waiting = new WaitingClasses(options.limits.maxSize, options.jobShare ?? 0);
    this.#gate = new QueueGate(options);
    this.#faults = new Faults(options.batchTimeoutMs, options.onRefusal);
    this.#loads = new ModelLoads(options);
    this.#held = new HeldModels(options.admission, () => this.pump());
    this.condemned = new CondemnedForms(options.pool);
  }

  /** Sets the most inputs of one batch: smaller batches take less memory. */
  setMaxItems(maxItems: number): void {
    const { limits } = this.#options;
    this.#limits = { ...limits, maxItems: Math.max(1, Math.min(maxItems, limits.maxItems)) };
  }

  /** Inputs of callers that wait for a worker. */
  get waitingCount(): number {
    return this.#waiting.callers.size;
  }

  /** Whether an input with that key waits or runs. */
  isComputing(key: string): boolean {
    return this.#running.hasKey(key) || this.#waiting.hasKey(key);
  }

  /** Whether any input of the model waits or runs. */
  isWanted(model: string): boolean {
    return this.#running.countOf(model) > 0 || this.#waiting.countOf(model) > 0;
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
    inputs: readonly RowInput[],
    abort: Abortable,
    user = '',
    keyed?: Keyed,
  ): Promise<Answer> {
    const sizes = sizesOf(inputs, ready.model.description.maxTokens, keyed?.tokens);
    let expectation: Expectation;
    try {
      this.#faults.check(ready, keyed);
      this.#waiting.arrived(performance.now());
      const arrival = { model: ready.model.id, user, sizes };
      const { callers } = this.#waiting;
      expectation = this.#gate.check(arrival, callers, this.#workers(), this.#leftMs());
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#queue({ ready, inputs, sizes, user, keyed, expectation, isJob: false }, abort);
  }

  /**
   * Runs the inputs of a job: with what callers leave of the workers, and at least `jobShare` of them. There is no deadline; the
   * caller bounds how many wait.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INPUT_REFUSED, WORKER_LOST; the signal's reason
   */
  submitJob(
    ready: ReadyModel,
    inputs: readonly RowInput[],
    abort: Abortable,
    user: string,
    keyed: Keyed,
  ): Promise<Answer> {
    const sizes = sizesOf(inputs, ready.model.description.maxTokens, keyed.tokens);
    try {
      this.#faults.check(ready, keyed);
    } catch (error) {
      return Promise.reject(error);
    }
    const of = { ready, inputs, sizes, user, keyed, expectation: NO_EXPECTATION, isJob: true };
    return this.#queue(of, abort);
  }

  #queue(of: Arriving, { signal }: Abortable): Promise<Answer> {
    const { inputs, sizes, user, ...asked } = of;
    const { ready, isJob, expectation } = asked;
    const model = ready.model.id;
    if (signal.aborted) return Promise.reject(signal.reason);
    const { request, answer } = openRequest(asked, inputs.length, signal, {
      onAbort: (reason) => this.#fail(request, reason),
      onAnswer: (tookMs) => this.#gate.learn(expectation, tookMs),
    });
    this.#options.onArrival(model);
    let isInJob = false;
    for (const [index, input] of inputs.entries()) {
      const row = newRow(request, { model, user, size: sizes[index] ?? 1, index, input });
      isInJob = this.#enter(row)?.isJob || isInJob;
    }
    this.pump();
    if (!isJob) this.#recallBundles(isInJob);
    return answer;
  }

  /** @param isInJob a caller waits for a row that a job has sent already, to whichever worker */
  #recallBundles(isInJob: boolean): void {
    const { workers } = this.#options.pool;
    recallBundles(workers, isInJob ? workers.length : this.#waiting.callers.activeUsers);
  }

  /** Queues the row, or joins it to the running row with its key. @returns the row that it joined */
  #enter(row: Row): Row | undefined {
    row.request.rows.push(row);
    const running = this.#running.join(row);
    if (running === undefined) this.#waiting.of(row).add(row);
    return running;
  }

  /** Hands out batches while there are any. Called on every arrival, completion and change of workers. */
  pump(): void {
    while (this.#waiting.size > 0) {
      const views = this.#views();
      if (views.length === 0) return;
      const dispatch = this.#waiting.next(views, this.#limits, this.#moment());
      if (dispatch === undefined) break;
      if (this.#dropLate(dispatch)) continue;
      const worker = this.#options.pool.find(dispatch.worker);
      const settle = worker && this.#admit(worker, dispatch);
      if (worker === undefined || settle === undefined) this.#cancel(dispatch);
      else void this.#execute(worker, dispatch).finally(settle);
    }
    this.#pumpOnceCallersAreGone();
  }

  #moment(): Moment {
    const { jobBatches } = this.#running;
    const workers = this.#workers();
    return {
      ...{ nowMs: performance.now(), workers, jobBatches, isHeld: this.#isHeld },
      sizeWithin: (model, ms) => this.#gate.sizeWithin(model, ms),
    };
  }

  /** A worker that was kept idle for callers is given to jobs when none has come for a while. */
  #pumpOnceCallersAreGone(): void {
    if (this.#waiting.jobs.size === 0 || this.#later !== undefined) return;
    const waitMs = this.#waiting.presentForMs(performance.now());
    if (waitMs === 0) return;
    this.#later = setTimeout(() => {
      this.#later = undefined;
      this.pump();
    }, waitMs).unref();
  }

  /**
   * A model waits for room to be opened, or runs in one worker and has answered nothing yet: should it never
   * answer, it must not take every worker.
   */
  readonly #isHeld = (model: string): boolean =>
    this.#held.has(model) ||
    (this.#running.countOf(model) > 0 && !this.#faults.isProven(model) && this.#workers() > 1);

  /** Workers that can take a batch. The scheduler prefers the first that has the model open, so hot ones come first. */
  #views(): readonly WorkerView[] {
    const takers = this.#options.pool.workers.filter(({ capacity }) => capacity !== 'none');
    if (takers.length > 1) takers.sort((a, b) => b.hotCount - a.hotCount);
    return takers.map(({ id, capacity, loaded }) => ({ id, capacity, models: loaded }));
  }

  /** Time until a worker is free, in the mean. */
  #leftMs(): number {
    return this.#options.pool.workers.reduce((ms, of) => ms + of.leftMs, 0) / this.#workers();
  }

  /** Ready workers, at least one. */
  #workers(): number {
    return Math.max(1, this.#options.pool.workers.filter(({ state }) => state === 'ready').length);
  }

  /**
   * Refuses the requests whose rows would be answered too late; rows that others would make late run by themselves.
   *
   * @returns whether there were any; then the rest of the batch is planned again
   */
  #dropLate(dispatch: Dispatch<Row>): boolean {
    const now = performance.now();
    const { late, urgent } = lateRows(dispatch, (row, sizes) =>
      this.#gate.isTooLate(now - row.request.enqueuedAtMs, row.model, sizes),
    );
    if (late.length + urgent.length === 0) return false;
    for (const row of urgent) row.alone = true;
    this.#cancel(dispatch);
    for (const { request } of late) {
      this.#gate.learn(request.expectation, Infinity);
      this.#fail(request, givenUp(this.#options.deadlineMs));
    }
    return true;
  }

  /** Puts the rows of a batch that cannot run now back to the front, in their order. */
  #cancel(dispatch: Dispatch<Row>): void {
    this.#putBack(allRowsOf(dispatch), new Set(dispatch.rows));
  }

  /**
   * Puts rows back to the front in their order, except those whose caller has left.
   *
   * @param charged rows whose users have paid for them; the others came along with those.
   */
  #putBack(rows: readonly Row[], charged: { has: (row: Row) => boolean }): void {
    for (const row of [...rows].reverse()) {
      if (row.request.settled) continue;
      if (charged.has(row)) this.#waiting.of(row).putBack(row);
      else this.#waiting.of(row).restore(row);
    }
  }

  /** @returns call it when the batch is over; undefined if the batch cannot run now. */
  #admit(worker: Worker, dispatch: Dispatch<Row>): (() => void) | undefined {
    const ready = dispatch.rows[0]?.request.ready;
    try {
      return ready && this.#held.admit(worker, ready);
    } catch (error) {
      for (const { request } of allRowsOf(dispatch)) this.#fail(request, error);
      return undefined;
    }
  }

  /**
   * Opens a model in every worker.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY
   */
  load(ready: ReadyModel): Promise<void> {
    return this.#loads.load(ready);
  }

  /** Opens a model in one worker and runs it once; does nothing if the load line has no room. */
  warm(worker: Worker, ready: ReadyModel, gear: Gear = 'cold'): Promise<void> {
    return this.#loads.warm(worker, ready, gear);
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

  async #execute(worker: Worker, dispatch: Dispatch<Row>): Promise<void> {
    const { model, rows } = dispatch;
    const [first] = rows;
    if (first === undefined) return;
    const { ready } = first.request;
    const joined = this.#running.begin(dispatch);
    const work = workOf(rows);
    const { budgetMs, hardMs: timeoutMs } = this.#faults.limitOf(ready, work);
    const expectedMs = this.#gate.batchMs(model, rowSizesOf(rows));
    try {
      const handle = handleOf(ready, this.#options.threads);
      const options = { timeoutMs, budgetMs, expectedMs, ...optionsOf(dispatch, this.#limits) };
      this.condemned.check(ready);
      const result = await worker.run(handle, inputsOf(rows), options);
      this.condemned.check(ready);
      if (result.loadMs !== undefined) this.#options.onLoad(model, worker, result.loadMs, 'cold');
      this.#running.closeTo(joined);
      const left = answerBatch(joined, result);
      this.#putBack(withJoined(left), left);
      const done = left.size === 0 ? rows : rows.filter((row) => !left.has(row));
      if (done.length > 0) this.#learn(ready, done, result);
      const [one] = result.rows;
      const live = one && liveInputOf(first, one);
      const taken = live && this.#options.onAnswered?.(ready, done.length, live);
      // Who came while a worker was taken waits for it, and nobody else may come.
      void taken?.then(() => this.pump());
    } catch (error) {
      this.#running.closeTo(joined);
      const fault = faultOf(error);
      if (fault.kind === 'lost') this.#faults.lost(ready, fault);
      this.#failed(joined, fault);
    } finally {
      this.#running.end(dispatch);
      this.pump();
    }
  }

  /** What rows cost that ran together. */
  #learn(ready: ReadyModel, rows: readonly Row[], { loadMs = 0, ...result }: Ran): void {
    const { tokenizeMs, runMs } = result;
    const work = workOf(rows);
    this.#gate.observe(ready.model.id, rowSizesOf(rows), result.tookMs - loadMs);
    this.#faults.answered(ready, work, tokenizeMs + runMs);
    const [model, retried] = [ready.model.id, rows.some(({ losses }) => losses > 0)];
    this.#options.onBatch({ model, items: rows.length, tokenizeMs, runMs, retried });
  }

  /** Fails the rows whose fault it is, and puts the others back. */
  #failed(joined: JoinedRows, fault: Fault): void {
    const again: Row[] = [];
    for (const row of withJoined(joined)) {
      if (row.request.settled) continue;
      const verdict = verdictOn(fault, joined.size === 1, row.losses);
      if (verdict.is === 'again') {
        if (verdict.counts) row.losses += 1;
        row.alone ||= verdict.alone;
        again.push(row);
      } else if (verdict.is === 'failed') this.#fail(row.request, verdict.error);
      else {
        this.#faults.refuse(row.request.ready, row.key, verdict.reason);
        this.#fail(row.request, inputRefused(positionOf(row), verdict.reason));
      }
    }
    this.#putBack(again, joined);
    this.#dropSetAside(joined);
    this.pump();
  }

  /** Whoever waits for a model that has just been set aside is told at once. */
  #dropSetAside(joined: JoinedRows): void {
    const [row] = joined.keys();
    const error = row && this.#faults.setAside(row.request.ready);
    if (row === undefined || error === undefined) return;
    for (const { request } of this.#waiting.rowsOf(row.model)) this.#fail(request, error);
  }

  #fail(request: Request, error: unknown): void {
    if (request.settled) return;
    request.settled = true;
    const refusal = this.#held.refusalOf(request.ready.model.id);
    const late = error instanceof PlimsollError && error.code === 'DEADLINE_EXCEEDED';
    const waiting = this.#waiting.of(request);
    for (const row of request.rows) waiting.remove(row);
    if (late) this.#gate.learn(request.expectation, Infinity);
    if (late && refusal !== undefined) request.reject(refusal);
    else request.reject(error instanceof Error ? error : new Error(String(error)));
  }
}
