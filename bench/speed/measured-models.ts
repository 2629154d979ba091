import type { Context } from '../harness/benchmark.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { bundledModel } from './mails.js';

const SHAPES = ['minilm', 'distilbert', 'bert-base'] as const;

/**
 * The bundled model and one of each synthetic shape; of those the one that `--model` names.
 *
 * @throws Error for a name that is none of them
 */
export async function measuredModels(
  { model: only, progress }: Pick<Context, 'model' | 'progress'>,
  shapes: readonly (typeof SHAPES)[number][] = SHAPES,
): Promise<readonly CachedModel[]> {
  const names = [bundledModel.id, ...shapes];
  if (only !== undefined && !names.some((name) => name === only)) {
    throw new Error(`--model ${only} is none of ${names.join(', ')}`);
  }
  const models = only === undefined || only === bundledModel.id ? [bundledModel] : [];
  for (const shape of shapes) {
    if (only === undefined || only === shape) {
      models.push(...(await syntheticModels(shape, 1, progress)));
    }
  }
  return models;
}
