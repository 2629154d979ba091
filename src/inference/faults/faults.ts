import type { PlimsollError } from '../../errors.js';
import type { ReadyModel } from '../../models/library.js';
import type { TimeLimit } from '../workers/time-limit.js';
import { inputRefused, RefusedTexts } from './refused-texts.js';
import { SetAsideModels } from './set-aside-models.js';
import { type BatchWork, TimeBudgets } from './time-budgets.js';
import type { Fault } from './verdict.js';

/** A text or a model that is refused for a while. */
export interface Refusal {
  readonly what: 'text' | 'model';
  readonly model: string;
  readonly reason: string;
}

/** Keys of the inputs that a request brings, and their places in it. */
export interface KeyedInputs {
  readonly keys: readonly string[];
  readonly positions?: readonly number[];
}

/** What is known of texts and models that misbehave: how long a batch may run, and which are refused. */
export class Faults {
  readonly #budgets: TimeBudgets;
  readonly #texts = new RefusedTexts();
  readonly #models = new SetAsideModels();
  readonly #proven = new Set<string>();
  readonly #onRefusal: ((refusal: Refusal) => void) | undefined;

  /** @param hardMs wall time after which any batch is stopped. */
  constructor(hardMs: number, onRefusal?: (refusal: Refusal) => void) {
    this.#budgets = new TimeBudgets(hardMs);
    this.#onRefusal = onRefusal;
  }

  /** @throws PlimsollError MODEL_UNUSABLE, INPUT_REFUSED */
  check(ready: ReadyModel, keyed: KeyedInputs | undefined): void {
    const error = this.setAside(ready);
    if (error !== undefined) throw error;
    if (keyed === undefined || this.#texts.size === 0) return;
    for (const [index, key] of keyed.keys.entries()) {
      const reason = this.#texts.reasonOf(textKeyOf(key));
      if (reason !== undefined) throw inputRefused(keyed.positions?.[index] ?? index, reason);
    }
  }

  /** What callers are told while the model is set aside; undefined if it is not. */
  setAside({ model, form }: ReadyModel): PlimsollError | undefined {
    return this.#models.refusalOf(model.id, form.digest);
  }

  /** Whether the model's last batch was answered. */
  isProven(model: string): boolean {
    return this.#proven.has(model);
  }

  limitOf({ model, form }: ReadyModel, work: BatchWork): TimeLimit {
    return this.#budgets.limitOf(model.id, form.digest, work);
  }

  /** @param ms time of the batch in the worker, loading left out. */
  answered({ model, form }: ReadyModel, work: BatchWork, ms: number): void {
    this.#budgets.observe(model.id, form.digest, work, ms);
    this.#models.answered(model.id);
    this.#proven.add(model.id);
  }

  /**
   * A worker ended or was stopped while it ran or opened the model: until a batch is answered it is not to be trusted.
   * A model that ends workers while they open it is set aside; one that waits for a slow disk is not.
   */
  lost(ready: ReadyModel, fault?: Fault): void {
    this.#proven.delete(ready.model.id);
    if (fault?.kind !== 'lost' || fault.stage !== 'opening' || fault.ending === 'stalled') return;
    this.#blame(ready);
  }

  /** The text is to blame: it is refused from now on. Too many of them, and the model is to blame. */
  refuse({ model, form }: ReadyModel, key: string | undefined, reason: string): void {
    this.#texts.add(key === undefined ? undefined : textKeyOf(key), reason);
    this.#onRefusal?.({ what: 'text', model: model.id, reason });
    this.#blame({ model, form });
  }

  #blame({ model, form }: ReadyModel): void {
    if (!this.#models.failed(model.id, form.digest)) return;
    const told = this.setAside({ model, form })?.message ?? '';
    this.#onRefusal?.({ what: 'model', model: model.id, reason: told });
  }
}

/** What divides the key of a text from the number of labels that are kept of it: no key holds it. */
const KEEP_MARK = '.';

/** Key of a run that returns the best `keep` labels only: it must not answer requests that want more. */
export function runKeyOf(textKey: string, keep: number | undefined): string {
  return keep === undefined ? textKey : `${textKey}${KEEP_MARK}${keep}`;
}

export function textKeyOf(runKey: string): string {
  const end = runKey.indexOf(KEEP_MARK);
  return end < 0 ? runKey : runKey.slice(0, end);
}
