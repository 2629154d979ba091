import path from 'node:path';
import { MappedForms, runtimeKey, usesArena } from '../../src/models/compile/mapped-form.js';
import { ModelRepository } from '../../src/models/intake/repository.js';
import { MODEL_ENVIRONMENT } from '../../src/system/process/tuning.js';
import {
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import {
  type CachedModel,
  mappedFolder,
  prepare,
  quantisedModel,
  syntheticModels,
} from '../harness/models.js';
import { rounded } from '../harness/spread.js';
import type { GearReport } from './gear-shapes.js';
import { bundledModel } from './mails.js';

/** A hot run may take this much more than a plain one: two measurements of the same work differ by that. */
const MOST_RATIO = 1.1;
const SHORT = '1×16';
const WAYS = ['plain', 'cold', 'hot'] as const;
const MODELS = { full: ['minilm', 'distilbert', 'bert-base'], quick: ['minilm'] } as const;

/** What the gears cost and save, for each model and type of weights: the ground of their rule. */
export const twoGears: Benchmark = {
  name: 'gears',
  about: 'plain, cold and hot, fp32 and q8: CPU time to open and to run, private memory',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const models: CachedModel[] = [bundledModel];
  await prepare(models, progress);
  models.push(await quantisedModel(bundledModel, progress));
  for (const shape of context.quick ? MODELS.quick : MODELS.full) {
    models.push(...(await syntheticModels(shape, 1, progress)));
    models.push(...(await syntheticModels(shape, 1, progress, 'q8')));
  }
  models.push(...(await syntheticModels('minilm', 1, progress, 'fp16')));
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const details: Record<string, unknown> = {};
  for (const model of models) {
    progress.at(model.id);
    const { plain, cold, hot, arena, dtype } = await measure(context, model);
    const ratio = (hot.runMs[SHORT] ?? Number.NaN) / (plain.runMs[SHORT] ?? Number.NaN);
    // What half precision costs on every run has no layout of its own: no gear saves it.
    if (dtype !== 'fp16')
      checks.push(
        atMost(`${model.id}: hot ÷ plain, ${SHORT}`, rounded(ratio, 3), MOST_RATIO),
        atMost(
          `${model.id}: hot’s private MB ÷ plain’s`,
          rounded(hot.privateMb / plain.privateMb),
          1,
        ),
      );
    const saved = (cold.runMs[SHORT] ?? 0) - (hot.runMs[SHORT] ?? 0);
    const pays = saved > 0 ? `after ${Math.ceil(hot.openMs / saved)} runs` : 'never';
    for (const [way, of] of Object.entries({ plain, cold, hot })) {
      const runs = Object.entries(of.runMs).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
      const value = `opens in ${of.openMs.toFixed(1)}, runs ${runs.join(', ')} ms, ${of.privateMb.toFixed(1)} MB`;
      facts.push({ fact: `${model.id}, ${way}`, value });
    }
    facts.push({ fact: `${model.id}: hot pays`, value: pays });
    details[model.id] = { plain, cold, hot, saved_ms: saved, arena, dtype };
  }
  return { checks, facts, details };
}

async function measure(context: Context, model: CachedModel) {
  const found = await new ModelRepository(path.dirname(model.directory)).find(
    path.basename(model.directory),
  );
  const forms = new MappedForms(path.dirname(mappedFolder()), await runtimeKey());
  const form = await forms.current(found);
  if (form === undefined) throw new Error(`${model.id} is not prepared`);
  const arena = usesArena(form.footprint) ? 'arena' : 'none';
  const source = path.join(model.directory, found.graphFile);
  const labels = String(found.description.labels.length);
  const reports: Partial<Record<(typeof WAYS)[number], GearReport>> = {};
  for (const way of WAYS) {
    const args = [way === 'plain' ? source : form.graphFile, way, labels, arena];
    const child = startChild(context, 'speed/gear-loop', args, {
      environment: MODEL_ENVIRONMENT,
    });
    reports[way] = (await child.next()) as GearReport;
    await child.ended;
  }
  const { plain, cold, hot } = reports;
  if (plain === undefined || cold === undefined || hot === undefined) throw new Error('no report');
  return { plain, cold, hot, arena, dtype: found.dtype };
}
