import path from 'node:path';
import { digestOfSources } from '../../src/models/compile/forms/checksums.js';
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
  type Sizes,
  sizeOf,
} from '../harness/benchmark.js';
import { runChild } from '../harness/child.js';
import {
  bundledModel,
  type CachedModel,
  mappedFolder,
  measuredModels,
  quantisedModel,
  syntheticModel,
} from '../harness/models.js';
import { range, rounded } from '../harness/spread.js';
import type { GearReport } from './gear-shapes.js';

/** Two measurements of the same work differ by so much. */
const MOST_RATIO = 1.1;
const SHORT = '1×16';
const WAYS = ['plain', 'cold', 'hot'] as const;
const SHAPES: Sizes<readonly ('minilm' | 'distilbert' | 'bert-base')[]> = {
  full: ['minilm', 'distilbert', 'bert-base'],
  quick: ['minilm'],
};

export const gears: Benchmark = {
  name: 'gears',
  about:
    'CPU time of a run in the hot gear, as a part of a plain session’s; what both gears cost to open and hold',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const ratios: number[] = [];
  const details: Record<string, unknown> = {};
  for (const model of await allModels(context)) {
    context.progress.at(model.id);
    const measured = await measure(context, model);
    // fp16 has no hot layout: it is turned into fp32 on each run, whatever the gear.
    if (measured.dtype !== 'fp16') {
      ratios.push(runRatio(measured));
      checks.push(...checksOf(model, measured));
    }
    facts.push(...factsOf(model, measured));
    details[model.id] = { ...measured, saved_ms: savedMs(measured) };
  }
  const headline = `${range(ratios, 2)} × on a text of 16 tokens`;
  return { headline, checks, facts, details };
}

async function allModels(context: Context): Promise<readonly CachedModel[]> {
  const { progress } = context;
  const models: CachedModel[] = [...(await measuredModels({ progress, model: bundledModel.id }))];
  models.push(await quantisedModel(bundledModel, progress));
  for (const shape of sizeOf(context, SHAPES)) {
    for (const dtype of ['fp32', 'q8'] as const) {
      models.push(await syntheticModel(shape, progress, dtype));
    }
  }
  return [...models, await syntheticModel('minilm', progress, 'fp16')];
}

interface Measured extends Readonly<Record<(typeof WAYS)[number], GearReport>> {
  readonly arena: string;
  readonly dtype: string;
}

/** CPU time of a short run, in ms. */
function shortRunMs(report: GearReport): number {
  return report.runMs[SHORT] ?? Number.NaN;
}

function runRatio({ hot, plain }: Measured): number {
  return shortRunMs(hot) / shortRunMs(plain);
}

/** What a short run saves in the hot gear, in ms of CPU time. */
function savedMs({ cold, hot }: Measured): number {
  return shortRunMs(cold) - shortRunMs(hot);
}

function checksOf({ id }: CachedModel, measured: Measured): readonly Check[] {
  const { hot, plain } = measured;
  const memory = rounded(hot.privateMb / plain.privateMb);
  return [
    atMost(`${id}: hot ÷ plain, ${SHORT}`, rounded(runRatio(measured), 3), MOST_RATIO),
    atMost(`${id}: private memory, hot ÷ plain`, memory, 1),
  ];
}

function factsOf({ id }: CachedModel, measured: Measured): readonly Fact[] {
  const saved = savedMs(measured);
  const pays = saved > 0 ? `after ${Math.ceil(measured.hot.openMs / saved)} runs` : 'never';
  const ways = WAYS.map((way) => {
    const { openMs, runMs, privateMb } = measured[way];
    const runs = Object.entries(runMs).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
    const value = `opens in ${openMs.toFixed(1)}, runs ${runs.join(', ')} ms, ${privateMb.toFixed(1)} MB`;
    return { fact: `${id}, ${way}`, value };
  });
  return [...ways, { fact: `${id}: hot pays`, value: pays }];
}

async function measure(context: Context, model: CachedModel): Promise<Measured> {
  // By the weights that were prepared: a form of others is none.
  const repository = new ModelRepository(path.dirname(model.directory), model.dtype ?? 'fp32');
  const found = await repository.find(path.basename(model.directory));
  const forms = new MappedForms(path.dirname(mappedFolder()), await runtimeKey());
  // It was prepared by way of a link: the digest of its files is remembered for that place alone.
  const digest = await digestOfSources(found.directory, found.files);
  const prepared = await forms.find(found, digest);
  if (prepared.state !== 'whole') throw new Error(`${model.id} is not prepared`);
  const { form } = prepared;
  const arena = usesArena(form.footprint) ? 'arena' : 'none';
  const source = path.join(model.directory, found.graphFile);
  const labels = String(found.description.labels.length);
  const report = (way: (typeof WAYS)[number]) => {
    const args = [way === 'plain' ? source : form.graphFile, way, labels, arena];
    const options = { environment: MODEL_ENVIRONMENT };
    return runChild<GearReport>(context, 'models/gear-main', args, options);
  };
  const plain = await report('plain');
  const cold = await report('cold');
  const hot = await report('hot');
  return { plain, cold, hot, arena, dtype: found.dtype };
}
