import { type ChildProcess, fork } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type ErrorCode, PlimsollError } from '../../errors.js';
import { modelProcessOptions } from '../../system/process/tuning.js';
import { describe } from '../intake/description.js';
import type { Model } from '../intake/repository.js';
import { inDirectory } from '../intake/tokenizer-files.js';
import type { Findings } from '../run/serving-plan.js';
import {
  FAST_FORM,
  type Footprint,
  type HotGear,
  MAPPED_GRAPH,
  MAPPED_WEIGHTS,
  type MappedForm,
  type MappedForms,
  usesArena,
} from './mapped-form.js';
import type {
  MeasureJob,
  PreparerJob,
  PreparerMessage,
  RoomBudget,
  VerifyJob,
  WriteJob,
} from './preparer-protocol.js';
import { referenceVerdict, revoked, type Verdict } from './verify/verdict.js';

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
  readonly log: (line: string, facts: Readonly<Record<string, unknown>>) => void;
}

const DEFAULT_BUDGET_MS = 120_000;

interface Failure {
  readonly signature: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Makes mapped forms, one at a time: each needs the model's size in memory once. Concurrent
 * requests for one model share the work; a model that could not be prepared is not tried again
 * before its files change.
 */
export class Preparer {
  readonly #options: PreparerOptions;
  readonly #running = new Map<string, Promise<MappedForm>>();
  readonly #failures = new Map<string, Failure>();
  readonly #children = new Set<ChildProcess>();
  readonly #measuring = new Set<Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: PreparerOptions) {
    this.#options = options;
  }

  /** Process ids of the throw-away processes that run now. */
  get pids(): readonly number[] {
    return [...this.#children].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /**
   * The mapped form of the model as it is on disk now; made if there is none.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY
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
    const failure = this.#failures.get(model.id);
    return failure?.signature === model.signature ? failure.message : undefined;
  }

  /**
   * Takes a model back to its fp32 form, which is measured first: memory is planned with what it takes. Tells of it as of
   * any form that was made.
   */
  async revoke(model: Model, form: MappedForm, reason: string): Promise<void> {
    const { forms, onVerdict } = this.#options;
    if (form.verdict?.serves !== 'fast') return;
    const verdict = revoked(form.verdict, reason);
    const exact = await forms.saveVerdict(model, form, verdict);
    onVerdict?.(model, verdict);
    const turn = this.#turn.then(async () => {
      const measured = await this.#measure(model, exact.graphFile, exact.findings);
      await this.#keepMeasured(model, exact, measured);
      await this.measured();
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  /** Settles when the measurements that run in the background have ended. */
  async measured(): Promise<void> {
    await Promise.all(this.#measuring);
  }

  /** Ends the processes that still run. Partial forms are removed at the next start. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #ensure(model: Model): Promise<MappedForm> {
    const current = await this.#options.forms.current(model);
    if (current !== undefined) return current;
    const failure = this.#failures.get(model.id);
    if (failure?.signature === model.signature) {
      throw new PlimsollError(failure.code, failure.message);
    }
    const turn = this.#turn.then(async () => {
      const settle = await this.#options.admit(model);
      return this.#prepare(model).finally(settle);
    });
    // Measuring the full batch takes memory as well: the next model waits for it.
    this.#turn = turn.then(
      () => this.measured(),
      () => undefined,
    );
    return turn;
  }

  async #prepare(model: Model): Promise<MappedForm> {
    const { forms, log } = this.#options;
    const begun = performance.now();
    const { id, dtype, sourceBytes } = model;
    log('preparing the mapped form', { model: id, dtype, sourceBytes });
    const partial = forms.partialFolderOf(model);
    try {
      const graphFile = path.join(partial, MAPPED_GRAPH);
      const written = await this.#write(this.#writeJob(model, graphFile));
      // Files that contradict the graph are refused now, and once.
      describe(model.declaration, { ...written.findings, ...written.findings.plan });
      const verdict = await this.#verify(model, graphFile, written.findings);
      const isFast = verdict?.serves === 'fast';
      // A trial that was killed leaves its files.
      const left = [`${FAST_FORM}.trials`, ...(isFast ? [] : [FAST_FORM])];
      for (const name of left) await rm(path.join(partial, name), { recursive: true, force: true });
      const [serving, plan] = isFast
        ? [path.join(partial, FAST_FORM, MAPPED_GRAPH), verdict.plan]
        : [graphFile, undefined];
      const findings = plan === undefined ? written.findings : { ...written.findings, plan };
      const measured = await this.#measure(model, serving, findings);
      const form = await forms.publish(model, partial, written, verdict);
      if (verdict !== undefined) this.#options.onVerdict?.(model, verdict);
      this.#failures.delete(model.id);
      log('prepared', { model: model.id, ms: Math.round(performance.now() - begun) });
      return this.#keepMeasured(model, form, measured);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      if (error instanceof PlimsollError && error.code === 'MODEL_UNUSABLE') {
        const { code, message } = error;
        this.#failures.set(model.id, { signature: model.signature, code, message });
      }
      throw error;
    }
  }

  #writeJob(model: Model, graphFile: string): WriteJob {
    const { description: of, directory: source, files, weights, declaration, dtype } = model;
    const { padTokenId, padTypeId, positionOffset, paddingSide, maxTokens } = of;
    const labels = declaration.overrides.labels?.length ?? declaration.labels.count;
    const pads = { padTokenId, padTypeId, positionOffset, paddingSide };
    return {
      ...{ job: 'write', source, files, weights, graphFile, weightsFile: MAPPED_WEIGHTS },
      ...{ threads: this.#options.threads, budget: this.#options.rowBudget() },
      tokenizer: inDirectory(source, model.tokenizer),
      inspect: { dtype, labels, maxTokens, ...pads },
    };
  }

  /** Tries faster forms; undefined where there is nothing to try. Whatever goes wrong, fp32 serves. */
  async #verify(model: Model, graphFile: string, findings: Findings): Promise<Verdict | undefined> {
    const { verification } = model;
    if (verification === undefined) return undefined;
    const { threads, batchItems, verifyBudgetMs = DEFAULT_BUDGET_MS } = this.#options;
    const { source, weights, tokenizer, inspect } = this.#writeJob(model, graphFile);
    const {
      labels,
      scoring,
      thresholds = {},
    } = describe(model.declaration, {
      ...findings,
      labelCount: findings.plan.labelCount,
    });
    const fastFolder = path.join(path.dirname(graphFile), FAST_FORM);
    const job: VerifyJob = {
      ...{ job: 'verify', source, weights, tokenizer, inspect, verification, graphFile },
      ...{ fastFolder, findings, threads, batchItems, budgetMs: verifyBudgetMs },
      labelling: { scoring, thresholds: labels.map((label) => thresholds[label]) },
    };
    return new Promise((resolve, reject) => {
      this.#run(
        job,
        (message) => {
          if (message.type === 'verified') resolve(message.verdict);
        },
        (error) => {
          if (error.code === 'SHUTTING_DOWN') reject(error);
          else resolve(referenceVerdict(verification.bounds, `not verified: ${error.message}`));
        },
      );
    });
  }

  #write(job: WriteJob): Promise<Written> {
    return new Promise((resolve, reject) => {
      this.#run(
        job,
        (message) => {
          if (message.type === 'written') resolve(message);
        },
        reject,
      );
    });
  }

  /** What the hot gear costs and saves; undefined if it could not be measured. */
  #measureShift(model: Model, form: MappedForm): Promise<HotGear | undefined> {
    const job = {
      ...this.#measureJob(model, form.graphFile, form.findings),
      arena: usesArena(form.footprint),
    };
    return new Promise((resolve) => {
      this.#run(
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
      this.#run(
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

  /** Runs one throw-away process. `onEnd` is told of every failure, and of silent ends. */
  #run(
    job: PreparerJob,
    onMessage: (message: PreparerMessage) => void,
    onEnd: (error: PlimsollError) => void,
  ): void {
    if (this.#stopped) {
      onEnd(new PlimsollError('SHUTTING_DOWN', 'the server is stopping'));
      return;
    }
    const child = fork(this.#options.module, [JSON.stringify(job)], {
      ...modelProcessOptions(),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#children.add(child);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, this.#options.timeoutMs);
    child.on('message', (message: PreparerMessage) => {
      if (message.type === 'failed') onEnd(new PlimsollError(message.code, message.message));
      else onMessage(message);
    });
    child.on('error', (error) => onEnd(new PlimsollError('INTERNAL', error.message)));
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      this.#children.delete(child);
      if (this.#stopped) onEnd(new PlimsollError('SHUTTING_DOWN', 'the server is stopping'));
      else onEnd(endError(late, code, signal));
    });
  }
}

interface Written {
  readonly digest: string;
  readonly findings: Findings;
}

interface FullBatch {
  readonly arenaSpeedup: number;
  readonly privateAfterBatchBytes: number;
  readonly peakBytes: number;
}

interface Measured extends Required<Pick<Footprint, 'loadMs' | 'privateAfterLoadBytes'>> {
  readonly full: Promise<FullBatch | undefined>;
}

/** An out-of-memory kill may not happen again; any other end says something about the model. */
function endError(late: boolean, code: number | null, signal: string | null): PlimsollError {
  if (late) {
    const reason = 'preparing the model took longer than prepare.timeout_ms';
    return new PlimsollError('MODEL_UNUSABLE', reason);
  }
  if (signal === 'SIGKILL') {
    const reason = 'the process that prepared the model was killed, most likely for lack of memory';
    return new PlimsollError('INSUFFICIENT_MEMORY', reason);
  }
  const end = signal ?? `exit code ${code}`;
  const reason = `the process that prepared the model ended without a result (${end})`;
  return new PlimsollError('MODEL_UNUSABLE', reason);
}
