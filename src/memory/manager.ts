import type { JobShard } from '../contract/jobs.js';
import { PlimsollError } from '../errors.js';
import { trimNativeHeap } from '../system/native-heap.js';
import { settledWithin } from '../system/time-limit.js';
import { Recycler } from './actions/recycler.js';
import { PressureRelief } from './actions/relief.js';
import { collectGarbage, loadedModels, unloadUnlessWanted } from './actions/steps.js';
import { TurnQueue } from './actions/turn-queue.js';
import { LoadAdmission } from './admission.js';
import type { MemoryEffects } from './effects.js';
import { type GearFigures, type HotFigures, hasStandIn, nextShift } from './gears.js';
import { type ReceiptHead, ReceiptJournal } from './journal.js';
import { ModelLedger } from './model-ledger.js';
import type { PressureAction } from './policy.js';
import { MemoryReader, type ReaderOptions } from './reader.js';
import type { Receipt } from './receipt.js';
import { evictionOrder, type ModelFigures, shouldUnload } from './residency.js';
import { type Watch, watchReadings } from './watchdog.js';

export interface MemoryOptions extends ReaderOptions {
  readonly readingIntervalMs: number;
  readonly residencyIntervalMs: number;
  readonly settleMs: number;
  readonly recycleAfterUsers: number;
  readonly recycleAfterAgeMs: number;
  readonly growthLimitBytes: (baselineBytes: number) => number;
  /** Measured private bytes of one open copy of the model. */
  readonly heldBytesOf: (model: string) => number;
  /** Measured costs and savings of the model's hot gear. */
  readonly hotGearOf: (model: string) => HotFigures | undefined;
  readonly onError: (line: string, error: unknown) => void;
}

/** Assumed reload time until the first load was measured. */
const UNKNOWN_RELOAD_MS = 50;

/** Reads memory, decides and acts. No other part decides about memory. */
export class MemoryManager {
  readonly reader: MemoryReader;
  readonly admission: LoadAdmission;
  readonly ledger = new ModelLedger();
  readonly #options: MemoryOptions;
  readonly #effects: MemoryEffects;
  readonly #journal: ReceiptJournal;
  readonly #recycler: Recycler;
  readonly #relief: PressureRelief;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #turns = new TurnQueue();
  #recycling: Promise<unknown> = Promise.resolve();
  #stopped = false;
  #readAtMs = performance.now();
  #noShiftBeforeMs = 0;

  constructor(options: MemoryOptions, effects: MemoryEffects) {
    this.#options = options;
    this.#effects = effects;
    this.reader = new MemoryReader(options, () => this.#relief.release());
    const { settleMs, recycleAfterUsers, recycleAfterAgeMs, growthLimitBytes, onError } = options;
    const { keepReceipt } = effects;
    this.#journal = new ReceiptJournal({ reader: this.reader, settleMs, keepReceipt });
    this.#recycler = new Recycler({
      reader: this.reader,
      journal: this.#journal,
      effects,
      afterUsers: recycleAfterUsers,
      afterAgeMs: recycleAfterAgeMs,
      growthLimitBytes,
      onError,
    });
    this.#relief = new PressureRelief({
      reader: this.reader,
      effects,
      journal: this.#journal,
      recycler: this.#recycler,
      inTurn: (work) => this.#turns.run(work),
      onError,
    });
    this.admission = new LoadAdmission({
      figures: () => this.#lineFigures(),
      makeRoom: (neededBytes, forModel) => this.#makeRoom(neededBytes, forModel),
    });
  }

  get usersSinceRecycle(): number {
    return this.#recycler.usersSinceRecycle;
  }

  /** Lasting actions in force: smaller batches, refusals. */
  get holding(): ReadonlySet<PressureAction> {
    return this.#relief.holding;
  }

  /** Whether the readings come as they should. */
  get watch(): Watch {
    const { readingIntervalMs } = this.#options;
    return watchReadings(performance.now() - this.#readAtMs, readingIntervalMs);
  }

  async start(): Promise<void> {
    // Returns what the start has freed, and loads koffi before the first cleanup is measured.
    trimNativeHeap();
    await this.reader.read();
    this.#readAtMs = performance.now();
    this.#every(this.#options.readingIntervalMs, 'a reading failed', () => this.#tick());
    this.#every(this.#options.residencyIntervalMs, 'idle models were not unloaded', () =>
      this.#unloadIdle(),
    );
    this.#every(this.#options.residencyIntervalMs, 'a model stayed in the cold gear', () =>
      this.#shiftBusy(),
    );
  }

  /** Stops the readings and waits for running work. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([this.#turns.settled(), this.#recycling]);
  }

  /** A new user has joined a session; every `recycle.after_users`-th triggers a recycle. */
  countUser(): void {
    if (this.#stopped) return;
    const recycle = this.#recycler.countUser(() => !this.#stopped);
    if (recycle === undefined) return;
    this.#recycling = recycle.catch((error: unknown) =>
      this.#options.onError('recycling failed', error),
    );
  }

  /** Replaces every worker, unloads every model, clears the in-process caches. */
  recycle(cause: string): Promise<Receipt> {
    const recycle = this.#recycler.recycle(cause);
    this.#recycling = recycle.catch(() => undefined);
    return recycle;
  }

  /**
   * Replaces one worker on request.
   *
   * @throws PlimsollError RECYCLE_RUNNING
   */
  async recycleWorker(worker: string): Promise<Receipt> {
    if (this.#recycler.isRunning) {
      const message = 'workers are being replaced already; ask again when that is done';
      throw new PlimsollError('RECYCLE_RUNNING', message, { retryAfterSeconds: 1 });
    }
    return this.#replaceOne(worker, `${worker}, asked for`);
  }

  /**
   * Frees what no other session needs, and measures that. Cleanups run one at a time.
   *
   * @param stillUsed whether an open session uses the model, so that it stays.
   * @param isAwaited whether a caller waits for the receipt: it goes before other work, and the caller gets a receipt
   *    that says what was left out if it has not ended after {@link AWAITED_MS}. Default: true.
   */
  async cleanup(options: {
    readonly cause: string;
    readonly session: string | null;
    readonly job?: JobShard | undefined;
    readonly stillUsed: (model: string) => boolean;
    readonly isAwaited?: boolean;
  }): Promise<Receipt> {
    const { cause, session, job, stillUsed, isAwaited = true } = options;
    // A caller who has waited for too long has a receipt already: what follows is nobody's.
    const head: { -readonly [K in keyof ReceiptHead]: ReceiptHead[K] } = {
      ...{ kind: 'cleanup', cause, session, job },
    };
    const work = () =>
      this.#journal.record(head, async (list) => {
        for (const model of loadedModels(this.#effects)) {
          if (!stillUsed(model)) await unloadUnlessWanted(this.#effects, model, list);
        }
        const othersWork = loadedModels(this.#effects).some(stillUsed);
        await collectGarbage(this.#effects, list, othersWork ? 'gently' : 'grown');
      });
    const done = this.#turns.run(work, isAwaited);
    if (!isAwaited || (await settledWithin(done, AWAITED_MS))) return done;
    done.catch((error: unknown) => this.#options.onError('a late cleanup failed', error));
    const told = { ...head };
    Object.assign(head, { cause: `${cause}, after its caller had waited`, session: null });
    return this.#journal.leftOut(told, AWAITED_MS, 'other work on memory, or this, goes on');
  }

  /** Unloads one model on request, unless it is wanted. */
  unload(model: string, cause: string): Promise<Receipt> {
    return this.#turns.run(() =>
      this.#journal.record({ kind: 'unload', cause }, async (list) => {
        await unloadUnlessWanted(this.#effects, model, list);
      }),
    );
  }

  async #tick(): Promise<void> {
    const snapshot = await this.reader.read();
    this.#readAtMs = performance.now();
    this.reader.keep(snapshot);
    this.admission.readingTaken();
    // Not awaited: relief waits for running receipts, and the readings must go on meanwhile.
    this.#act().catch((error: unknown) =>
      this.#options.onError('memory pressure was not relieved', error),
    );
  }

  async #act(): Promise<void> {
    if (this.#stopped) return;
    await this.#relief.relieve(() => !this.#stopped);
    if (this.#stopped) return;
    const grown = this.#recycler.isRunning ? undefined : this.#recycler.findGrown();
    if (grown !== undefined) await this.#replaceOne(grown.worker, grown.cause);
  }

  #replaceOne(worker: string, cause: string): Promise<Receipt> {
    const replace = this.#recycler.replaceOne(worker, cause);
    this.#recycling = replace.catch(() => undefined);
    return replace;
  }

  async #unloadIdle(): Promise<void> {
    const { last, level } = this.reader;
    if (last === undefined || this.#stopped) return;
    const line = this.reader.loadLineBytes(last);
    const freeShare = Math.max(0, 1 - this.reader.loadBytes(last) / line);
    for (const figures of this.#idleModels()) {
      if (!shouldUnload(figures, freeShare, level !== 'normal')) continue;
      await this.unload(figures.model, level === 'normal' ? 'idle' : `idle, pressure ${level}`);
    }
  }

  /**
   * Moves one busy model to the hot gear, if there is room. Not queued with cleanups: it takes some hundred
   * milliseconds and frees nothing.
   */
  async #shiftBusy(): Promise<void> {
    if (this.reader.level !== 'normal' || this.#recycler.isRunning || this.#stopped) return;
    if (performance.now() < this.#noShiftBeforeMs) return;
    const workers = this.#effects.workers();
    const isAlone = workers.length === 1;
    const figures = nextShift(
      this.#gearFigures().filter(
        ({ worker, model }) => isAlone || hasStandIn(worker, model, workers),
      ),
    );
    if (figures?.hot === undefined || (isAlone && !this.#recycler.canOverlap)) return;
    const { worker, model, hot, batches } = figures;
    const settle = this.admission.askForSpare(hot.privateBytes, hot.prepackedBytes);
    if (settle === undefined) return;
    const cause = `${model} stays busy: ${batches} batches in ${worker}`;
    // If it fails, or no other worker can serve meanwhile, do not retry at once.
    this.#noShiftBeforeMs = performance.now() + SHIFT_PAUSE_MS;
    try {
      const { actions } = await this.#journal.record({ kind: 'shift', cause }, async (list) => {
        // No other worker can serve meanwhile, so a successor shifts before it takes over.
        if (isAlone) await this.#recycler.replace(worker, list, 'start first', model);
        else await list.step('shift', { model }, () => this.#effects.shift(worker, model));
      });
      if (actions.length > 0) this.#noShiftBeforeMs = 0;
    } finally {
      settle();
    }
  }

  #gearFigures(): readonly GearFigures[] {
    return this.#effects.heldModels().map((held) => ({
      ...held,
      expectedGapMs: this.ledger.expectedGapMs(held.model),
      idleMs: this.ledger.idleMs(held.model),
      hot: this.#options.hotGearOf(held.model),
    }));
  }

  /** Evicts the least valuable idle models until enough is free, or none is left. */
  async #makeRoom(neededBytes: number, forModel: string): Promise<void> {
    await this.#turns.run(async () => {
      const candidates = evictionOrder(this.#idleModels()).filter(
        ({ model }) => model !== forModel,
      );
      if (candidates.length > 0) {
        const cause = `room for ${forModel}`;
        await this.#journal.record({ kind: 'eviction', cause }, async (list) => {
          let freed = 0;
          for (const { model } of candidates) {
            if (freed >= neededBytes) break;
            const outcomes = await unloadUnlessWanted(this.#effects, model, list);
            freed += outcomes.reduce((sum, outcome) => sum + outcome.freedBytes, 0);
          }
        });
      } else {
        // Nothing to evict: ask again after a new reading.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        await this.reader.read();
      }
      this.admission.readingTaken();
    });
  }

  #idleModels(): readonly ModelFigures[] {
    const workers = this.#effects.workers();
    const hot = new Set(
      this.#effects.heldModels().flatMap(({ model, gear }) => (gear === 'hot' ? [model] : [])),
    );
    const shiftMs = (model: string) =>
      hot.has(model) ? (this.#options.hotGearOf(model)?.shiftMs ?? 0) : 0;
    return loadedModels(this.#effects)
      .filter((model) => !this.#effects.isWanted(model))
      .map((model) => {
        const copies = workers.filter(({ models }) => models.includes(model)).length;
        return {
          model,
          expectedGapMs: this.ledger.expectedGapMs(model),
          idleMs: this.ledger.idleMs(model),
          reloadMs: (this.ledger.reloadMs(model) ?? UNKNOWN_RELOAD_MS) + shiftMs(model),
          heldBytes: copies * this.#options.heldBytesOf(model),
        };
      });
  }

  #lineFigures(): { readonly loadBytes: number; readonly lineBytes: number } {
    const { last } = this.reader;
    if (last === undefined) return { loadBytes: 0, lineBytes: Number.POSITIVE_INFINITY };
    return { loadBytes: this.reader.loadBytes(last), lineBytes: this.reader.loadLineBytes(last) };
  }

  /** Repeats work with a pause between the end of one run and the start of the next. */
  #every(pauseMs: number, failure: string, work: () => Promise<void>): void {
    const again = () => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        work()
          .catch((error: unknown) => this.#options.onError(failure, error))
          .finally(() => {
            if (!this.#stopped) again();
          });
      }, pauseMs);
      timer.unref();
      this.#timers.add(timer);
    };
    again();
  }
}

/** Longest wait of a caller for a cleanup: behind the replacement of a worker it could wait for a minute. */
const AWAITED_MS = 5000;

/** Pause after a shift that failed. */
const SHIFT_PAUSE_MS = 10_000;

/** Pause before a load that waits for room asks again. */
const RETRY_MS = 50;
