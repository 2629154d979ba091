import type { MemoryEffects } from '../effects.js';
import type { ActionList, ReceiptJournal } from '../journal.js';
import { type Effect, nextAction, type PressureAction, releasedActions } from '../policy.js';
import type { MemoryReader } from '../reader.js';
import type { Recycler } from './recycler.js';
import { collectGarbage, loadedModels, unloadUnlessWanted } from './steps.js';

export interface ReliefParts {
  readonly reader: MemoryReader;
  readonly effects: MemoryEffects;
  readonly journal: ReceiptJournal;
  readonly recycler: Recycler;
  /** Runs work when no other receipt is being written. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onError: (line: string, error: unknown) => void;
}

/** Takes the policy's actions against memory pressure, and ends those that last. */
export class PressureRelief {
  readonly #parts: ReliefParts;
  readonly #taken = new Map<PressureAction, Effect>();
  readonly #holding = new Set<PressureAction>();
  #isRunning = false;

  constructor(parts: ReliefParts) {
    this.#parts = parts;
  }

  /** Lasting actions in force: smaller batches, refusals. */
  get holding(): ReadonlySet<PressureAction> {
    return this.#holding;
  }

  /** Ends lasting actions as soon as the level allows it. */
  release(): void {
    if (this.#holding.size === 0) return;
    const { reader, effects } = this.#parts;
    for (const action of releasedActions(reader.level, this.#isFlooded(), this.#holding)) {
      this.#holding.delete(action);
      effects.hold(action, false);
    }
  }

  /**
   * Takes actions one by one; each is measured before the next is chosen. Does nothing while it runs already.
   *
   * @param goesOn checked before each action; false ends it.
   */
  async relieve(goesOn: () => boolean): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (goesOn()) {
        const action = nextAction({
          level: this.#parts.reader.level,
          flooded: this.#isFlooded(),
          effects: this.#taken,
          holding: this.#holding,
          nowMs: performance.now(),
        });
        if (action === undefined) return;
        await this.#take(action);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #isFlooded(): boolean {
    const { reader } = this.#parts;
    return reader.last !== undefined && reader.strain(reader.last).flooded;
  }

  /** Takes it, and notes its effect: one that failed has freed nothing, and the next ones have their turn. */
  async #take(action: PressureAction): Promise<void> {
    const { reader, journal, inTurn, onError } = this.#parts;
    const { level } = reader;
    const cause = `pressure ${level}: ${action}`;
    let freedBytes = 0;
    try {
      let failure: { readonly error: unknown } | undefined;
      const receipt = await inTurn(() =>
        journal.record({ kind: 'pressure', cause }, async (list) => {
          failure = await list.attempt(action, {}, () => this.#relieveBy(action, list));
        }),
      );
      if (failure !== undefined) onError(`${action} has failed`, failure.error);
      else freedBytes = receipt.before.privateBytes - receipt.after.privateBytes;
    } finally {
      this.#taken.set(action, { atMs: performance.now(), freedBytes, level });
    }
  }

  async #relieveBy(action: PressureAction, list: ActionList): Promise<void> {
    const { reader, effects } = this.#parts;
    switch (action) {
      case 'trim_cache': {
        const critical = reader.level === 'critical';
        const trim = critical ? effects.clearCaches : effects.halveCaches;
        await list.step(action, {}, async () => [{ freedBytes: trim() }]);
        if (critical) await list.step('clear_redis', {}, () => effects.clearRedis());
        return;
      }
      case 'unload_idle_models':
        for (const model of loadedModels(effects)) await unloadUnlessWanted(effects, model, list);
        return;
      case 'return_free_heap':
        return collectGarbage(effects, list, 'all');
      case 'recycle_fattest_idle_worker':
        return this.#recycleFattest(list);
      default:
        this.#holding.add(action);
        effects.hold(action, true);
        await list.step(action, {}, async () => [{ freedBytes: 0 }]);
    }
  }

  async #recycleFattest(list: ActionList): Promise<void> {
    const { reader, effects, recycler } = this.#parts;
    const idle = new Set(effects.workers().flatMap((of) => (of.idle ? [of.id] : [])));
    const fattest = (reader.last?.processes ?? [])
      .filter(({ worker }) => worker !== undefined && idle.has(worker))
      .sort((a, b) => b.memory.privateBytes - a.memory.privateBytes)[0]?.worker;
    if (fattest === undefined || recycler.isRunning) return;
    // Memory must not rise for a moment, so the old worker leaves first.
    await recycler.replace(fattest, list, 'leave first');
  }
}
