/** Steps that several receipts share. */
import type { MemoryEffects, StepOutcome } from '../effects.js';
import type { ActionList } from '../journal.js';
import { collectOwnHeap, type Thoroughness } from './heap.js';

/** Models that are open in some worker. */
export function loadedModels(effects: MemoryEffects): readonly string[] {
  return [...new Set(effects.workers().flatMap(({ models }) => models))];
}

/** Releases the model in every worker, unless a request waits for it. */
export function unloadUnlessWanted(
  effects: MemoryEffects,
  model: string,
  list: ActionList,
): Promise<readonly StepOutcome[]> {
  if (effects.isWanted(model)) return Promise.resolve([]);
  return list.step('unload_model', { model }, () => effects.unload(model));
}

/** Collects garbage in the idle workers and in the main process. */
export async function collectGarbage(
  effects: MemoryEffects,
  list: ActionList,
  thoroughness: Thoroughness,
): Promise<void> {
  await list.step('collect_garbage', {}, () => effects.collectWorkers());
  await list.step('collect_garbage', {}, () => collectOwnHeap(thoroughness));
}
