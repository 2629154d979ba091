import { rm } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError } from '../../errors.js';
import { describe } from '../intake/description.js';
import type { Model } from '../intake/repository.js';
import { inDirectory } from '../intake/tokenizer-files.js';
import { type Findings, readingOf } from '../run/serving-plan.js';
import { FormChecks } from './form-checks.js';
import { asDiskFailure, checkRoom, roomNeeded, storageUnavailable } from './forms/disk-failure.js';
import { KnownFailures } from './forms/known-failures.js';
import {
  FAST_FORM,
  type HotGear,
  MAPPED_GRAPH,
  MAPPED_WEIGHTS,
  type MappedForm,
  type MappedForms,
  usesArena,
} from './mapped-form.js';
import { PreparerProcesses } from './preparer-processes.js';
import type { FullBatch, Measured, MeasureJob, RoomBudget, WriteJob } from './preparer-protocol.js';
import { after, isDueAgain, revoked, type Verdict } from './verify/verdict.js';
import { DEFAULT_BUDGET_MS, type Verified, verifyModel } from './verify/verify-model.js';

export interface PreparerOptions {
  readonly forms: MappedForms;
  /** Path of the built preparer-main module. */
  readonly module: string;
  readonly timeoutMs: number;
  readonly threads: number;
  readonly batchItems: number;
  readonly batchTokens: number;
  /** Memory and time that the longest text of a model may take; see `measureRoom`. */
  readonly rowBudget: () => RoomBudget;
  /**
   * Asked when a model's turn has come, as memory is then.
   *
   * @returns called when the work has ended, however it did
   * @throws PlimsollError INSUFFICIENT_MEMORY if it must not be prepared here, or not now
   */
  readonly admit: (model: Model) => Promise<() => void>;
  /** Told when a form was made, and when its full batch was measured. */
  readonly onMeasured: (model: Model, form: MappedForm) => void;
  /** Told which form of a model serves from now on, and why. */
  readonly onVerdict?: (model: Model, verdict: Verdict) => void;
  /** Time after which no further form of a model is tried. */
  readonly verifyBudgetMs?: number;
  /** Told when a form was found damaged, before it is removed. `form`: if it was in use in this run. */
  readonly onReplaced: (model: Model, reason: string, form?: MappedForm) => void;
  readonly log: (line: string, facts: Readonly<Record<string, unknown>>) => void;
}

/**
 * Makes mapped forms, one at a time: each needs the model's size in memory once. Concurrent requests for one model share
 * the work, also those of other servers on the same data folder. A model that could not be prepared is not tried again
 * before its files change; what the disk did is no failure of the model, and is tried again soon.
 */
export class Preparer {
  readonly #options: PreparerOptions;
  readonly #processes: PreparerProcesses;
  readonly #checks: FormChecks;
  readonly #running = new Map<string, Promise<MappedForm>>();
  readonly #failures = new KnownFailures();
  readonly #measuring = new Set<Promise<void>>();
  /** Instances that were found damaged. */
  readonly #condemned = new Set<string>();
  readonly #ending = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PreparerOptions) {
    this.#options = options;
    this.#processes = new PreparerProcesses(options.module, options.timeoutMs);
    this.#checks = new FormChecks(this.#processes);
  }

  /** Process ids of the throw-away processes that run now. */
  get pids(): readonly number[] {
    return this.#processes.pids;
  }

  /**
   * The mapped form of the model as it is on disk now; made if there is none, or a damaged one.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY, STORAGE_UNAVAILABLE
   */
  ensure(model: Model): Promise<MappedForm> {
    const key = `${model.id}\n${model.signature}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const work = this.#ensure(model).finally(() => this.#running.delete(key));
    this.#running.set(key, work);
    return work;
  }

  /** Why this state of the model could not be prepared, if that was tried. */
  failureOf(model: Model): string | undefined {
    return this.#failures.of(model)?.message;
  }

  /**
   * Looks whether a form is what was written.
   *
   * @param depth `sizes`: what the file system says; `contents`: every byte is read, in another process
   * @returns what is wrong; undefined if nothing is
   */
  async faultOf(form: MappedForm, depth: 'sizes' | 'contents'): Promise<string | undefined> {
    try {
      const fault = await this.#options.forms.faultOf(form);
      const isEnough = fault !== undefined || depth === 'sizes' || this.#checks.isRecent(form);
      return isEnough ? fault : await this.#checks.check(form);
    } catch (error) {
      throw this.#asDiskFailure(error);
    }
  }

  /** Removes a form that was found damaged, and tells of it. The next {@link ensure} makes it anew. */
  async replace(model: Model, form: MappedForm, reason: string): Promise<void> {
    if (this.#condemned.has(form.instance)) return;
    this.#condemned.add(form.instance);
    this.#options.onReplaced(model, reason, form);
    // What is still there is found damaged again, and cannot be removed by a server that may not write.
    await this.#options.forms.remove(form).catch((error: unknown) => {
      this.#options.log('a damaged form was not removed', { model: model.id, error });
    });
  }

  /**
   * Takes a model back to its fp32 form, at once: each answer until then would be one that was found wrong. What the form takes is
   * measured in the background, and told like that of any other.
   */
  async revoke(model: Model, form: MappedForm, reason: string): Promise<MappedForm> {
    const { forms, onVerdict, log } = this.#options;
    if (form.verdict?.serves !== 'fast') return form;
    const verdict = revoked(form.verdict, reason);
    const exact = await forms.saveVerdict(model, form, verdict);
    onVerdict?.(model, verdict);
    this.#turn = this.#turn
      .then(() => this.#measure(model, exact.graphFile, exact.findings))
      .then((measured) => this.#keepMeasured(model, exact, measured))
      .then(() => Promise.all(this.#measuring))
      .catch((error: unknown) => log('its fp32 form was not measured', { model: model.id, error }));
    return exact;
  }

  /** Settles when the measurements and checks that run in the background have ended. */
  async measured(): Promise<void> {
    await Promise.all(this.#measuring);
    await this.#checks.settled();
  }

  /** Ends the processes that still run. What they have written is removed at the next start. */
  stop(): void {
    this.#ending.abort(new PlimsollError('SHUTTING_DOWN', 'the server is stopping'));
    this.#processes.stop();
  }

  async #ensure(model: Model): Promise<MappedForm> {
    try {
      const current = await this.#find(model);
      if (current !== undefined) {
        return this.#isDueAgain(current) ? await this.#compareAgain(model, current) : current;
      }
    } catch (error) {
      throw this.#asDiskFailure(error);
    }
    this.#failures.throwKnown(model);
    return this.#inTurn(model);
  }

  #isDueAgain({ verdict }: MappedForm): boolean {
    const { verifyBudgetMs = DEFAULT_BUDGET_MS } = this.#options;
    return verdict !== undefined && isDueAgain(verdict, verifyBudgetMs, Date.now());
  }

  /** Makes the form anew, as its comparison ended early. Whatever comes in the way, the one that is there serves on. */
  async #compareAgain(model: Model, current: MappedForm): Promise<MappedForm> {
    const { log } = this.#options;
    const { reason, again } = current.verdict ?? {};
    log('the forms are compared again', { model: model.id, reason, attempts: again?.attempts });
    return this.#inTurn(model, current).catch((error: unknown) => {
      if (error instanceof PlimsollError && error.code === 'SHUTTING_DOWN') throw error;
      log('the forms were not compared again', { model: model.id, error });
      return current;
    });
  }

  /** Prepares when the models before it are done. @param replaced a form that another one takes the place of */
  #inTurn(model: Model, replaced?: MappedForm): Promise<MappedForm> {
    const turn = this.#turn.then(async () => {
      const settle = await this.#options.admit(model);
      return this.#prepare(model, replaced).finally(settle);
    });
    // Measuring the full batch takes memory as well: the next model waits for it.
    this.#turn = turn.then(
      () => Promise.all(this.#measuring),
      () => undefined,
    );
    return turn;
  }

  /**
   * 1. The digest of the model's files, as it is remembered.
   * 2. It is not: the files are read, if there are forms that may fit, as in a data folder that was copied here.
   * 3. The form of that digest, if it is whole. Its contents are checked once in a run, in the background.
   * 4. A damaged one is removed.
   */
  async #find(model: Model): Promise<MappedForm | undefined> {
    const { forms } = this.#options;
    let digest = await forms.digests.known(model); // 1
    if (digest === undefined) {
      if (!(await forms.hasAny(model))) return undefined;
      const { directory: source, files } = model;
      ({ digest } = await this.#processes.ask({ job: 'digest', source, files }, 'digested')); // 2
      await forms.digests.keep(model, digest);
    }
    const found = await forms.find(model, digest);
    if (found.state === 'damaged') {
      this.#options.onReplaced(model, found.reason); // 4
      await forms.remove(found);
    }
    if (found.state !== 'whole') return undefined;
    const { form } = found; // 3
    if (this.#condemned.has(form.instance)) {
      await forms.remove(form);
      return undefined;
    }
    const log = (error: unknown) =>
      this.#options.log('the contents of a form were not checked', { model: model.id, error });
    this.#checks.begin(form, (fault) => void this.replace(model, form, fault), log);
    return form;
  }

  /** Prepares under the model's lock, unless another server has done so meanwhile. */
  async #prepare(model: Model, replaced?: MappedForm): Promise<MappedForm> {
    const { forms, timeoutMs } = this.#options;
    try {
      const lock = await forms.lock(model, timeoutMs, this.#ending.signal);
      if (lock === undefined) {
        const reason = 'another server has been preparing this model for prepare.timeout_ms';
        throw storageUnavailable(reason, 'end it if it hangs');
      }
      try {
        await forms.removeUnfinished(forms.folderOf(model));
        const made = await this.#find(model);
        if (made !== undefined && made.instance !== replaced?.instance) return made;
        const needed = roomNeeded(model.weights, model.float32Bytes ?? model.sourceBytes);
        await checkRoom(forms.folderOf(model), needed).catch(async () => {
          await forms.makeRoom(model);
          await checkRoom(forms.folderOf(model), needed);
        });
        return await this.#make(model, replaced);
      } finally {
        await lock.release();
      }
    } catch (error) {
      const failure = this.#asDiskFailure(error);
      // There is a form that serves: the model has not failed.
      throw replaced === undefined ? this.#failures.remembered(model, failure) : failure;
    }
  }

  async #make(model: Model, replaced?: MappedForm): Promise<MappedForm> {
    const { forms, log } = this.#options;
    const begun = performance.now();
    const { id, dtype, sourceBytes } = model;
    log('preparing the mapped form', { model: id, dtype, sourceBytes });
    const partial = forms.partialFolderOf(model);
    try {
      const graphFile = path.join(partial, MAPPED_GRAPH);
      const written = await this.#processes.write(this.#writeJob(model, graphFile));
      // Files that contradict the graph are refused now, and once.
      describe(model.declaration, { ...written.findings, ...readingOf(written.findings.plan) });
      const { files, ...verified } = await this.#verify(model, graphFile, written.findings);
      const verdict = verified.verdict && after(replaced?.verdict, verified.verdict);
      const isFast = verdict?.serves === 'fast';
      // A trial that was killed leaves its files.
      const left = [`${FAST_FORM}.trials`, ...(isFast ? [] : [FAST_FORM])];
      for (const name of left) await rm(path.join(partial, name), { recursive: true, force: true });
      const serving = isFast ? path.join(partial, FAST_FORM, MAPPED_GRAPH) : graphFile;
      const plan = verdict?.plan ?? written.findings.plan;
      const measured = await this.#measure(model, serving, { ...written.findings, plan });
      const all = { ...written, verdict, files: [...written.files, ...files] };
      const form = await forms.publish(model, partial, all, replaced?.instance);
      if (verdict !== undefined) this.#options.onVerdict?.(model, verdict);
      await forms.digests.keep(model, written.digest);
      this.#checks.written(form);
      this.#failures.forget(id);
      log('prepared', { model: id, ms: Math.round(performance.now() - begun) });
      return await this.#keepMeasured(model, form, measured);
    } catch (error) {
      await rm(partial, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }

  #verify(model: Model, graphFile: string, findings: Findings): Promise<Verified> {
    const { batchItems, verifyBudgetMs: budgetMs = DEFAULT_BUDGET_MS } = this.#options;
    const limits = { batchItems, budgetMs };
    return verifyModel(this.#processes, model, this.#writeJob(model, graphFile), findings, limits);
  }

  #asDiskFailure(error: unknown): unknown {
    return asDiskFailure(error, path.dirname(this.#options.forms.root)) ?? error;
  }

  #writeJob(model: Model, graphFile: string): WriteJob {
    const { description: of, directory: source, files, weights, declaration, dtype } = model;
    const { padTokenId, padTypeId, positionOffset, paddingSide, maxTokens } = of;
    const perToken = of.task === 'token-classification';
    const labels = declaration.overrides.labels?.length ?? declaration.labels.count;
    const pads = { padTokenId, padTypeId, positionOffset, paddingSide };
    return {
      ...{ job: 'write', source, files, weights, graphFile, weightsFile: MAPPED_WEIGHTS },
      ...{ threads: this.#options.threads, budget: this.#options.rowBudget() },
      tokenizer: inDirectory(source, model.tokenizer),
      inspect: { dtype, labels, perToken, maxTokens, ...pads },
    };
  }

  /** What the hot gear costs and saves; undefined if it could not be measured. */
  #measureShift(model: Model, form: MappedForm): Promise<HotGear | undefined> {
    const job = {
      ...this.#measureJob(model, form.graphFile, form.findings),
      arena: usesArena(form.footprint),
    };
    return new Promise((resolve) => {
      this.#processes.run(
        { job: 'shift', ...job },
        (message) => {
          if (message.type !== 'shifted') return;
          const { shiftMs, savedMsPerRun, peakBytes } = message;
          resolve({ shiftMs, savedMsPerRun, peakBytes });
        },
        () => resolve(undefined),
      );
    });
  }

  #measureJob(model: Model, graphFile: string, findings: Findings): Omit<MeasureJob, 'job'> {
    const { threads, batchItems, batchTokens } = this.#options;
    const { directory: source } = model;
    const tokenizer = inDirectory(source, model.tokenizer);
    return {
      ...{ source, tokenizer, graphFile, threads, findings, batchItems, batchTokens },
      arena: false,
    };
  }

  /** Resolves when the model has been opened; `full` when the full batch was measured as well. */
  #measure(model: Model, graphFile: string, findings: Findings): Promise<Measured> {
    const job = this.#measureJob(model, graphFile, findings);
    return new Promise((resolve, reject) => {
      let tellFull: (full: FullBatch | undefined) => void = () => undefined;
      const full = new Promise<FullBatch | undefined>((done) => {
        tellFull = done;
      });
      this.#processes.run(
        { job: 'measure', ...job },
        (message) => {
          if (message.type === 'loaded') {
            resolve({ loadMs: message.loadMs, privateAfterLoadBytes: message.privateBytes, full });
          } else if (message.type === 'ran') {
            const { arenaSpeedup, privateBytes, peakBytes } = message;
            tellFull({ arenaSpeedup, privateAfterBatchBytes: privateBytes, peakBytes });
          }
        },
        (error) => {
          tellFull(undefined);
          reject(error);
        },
      );
    });
  }

  async #keepMeasured(model: Model, form: MappedForm, measured: Measured): Promise<MappedForm> {
    const { forms, onMeasured, log } = this.#options;
    const { full, ...load } = measured;
    const saved = await forms.saveFootprint(form, { ...form.footprint, ...load });
    onMeasured(model, saved);
    const keepLater = async () => {
      const batch = await full;
      if (batch === undefined) return;
      const ran = await forms.saveFootprint(saved, { ...saved.footprint, ...batch });
      onMeasured(model, ran);
      const hot = await this.#measureShift(model, ran);
      if (hot === undefined) return;
      onMeasured(model, await forms.saveFootprint(ran, { ...ran.footprint, hot }));
    };
    const measuring = keepLater()
      .catch((error: unknown) => log('a footprint was not kept', { model: model.id, error }))
      .finally(() => this.#measuring.delete(measuring));
    this.#measuring.add(measuring);
    return saved;
  }
}
