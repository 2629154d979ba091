import type { Gear } from '../../models/run/gear.js';

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

/** The models that a worker holds open or has been told to open, as the main process knows them. */
export class OpenModels {
  readonly #models = new Map<string, LoadedModel>();

  get all(): ReadonlyMap<string, LoadedModel> {
    return this.#models;
  }

  get hotCount(): number {
    let count = 0;
    for (const { gear } of this.#models.values()) if (gear === 'hot') count += 1;
    return count;
  }

  get(model: string): LoadedModel | undefined {
    return this.#models.get(model);
  }

  add(model: string, digest: string, gear: Gear, opened: Promise<number>): LoadedModel {
    const now = Date.now();
    const loaded = { digest, gear, opened, batches: 0, loadedAtMs: now, lastUsedAtMs: now };
    this.#models.set(model, loaded);
    return loaded;
  }

  /** Removes the entry, unless the model was unloaded and loaded again meanwhile. */
  removeFailed(model: string, loaded: LoadedModel): void {
    if (this.#models.get(model) === loaded) this.#models.delete(model);
  }

  remove(model: string): void {
    this.#models.delete(model);
  }

  countBatch(model: string): void {
    const loaded = this.#models.get(model);
    if (loaded === undefined) return;
    loaded.lastUsedAtMs = Date.now();
    loaded.batches += 1;
  }

  clear(): void {
    this.#models.clear();
  }
}
