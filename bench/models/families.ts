import type { ModelDetail } from '../../src/contract/models.js';
import {
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { checkpointModel, plainModelOf } from '../harness/models.js';
import { prepare } from '../harness/prepared-models.js';
import { RawLoop } from '../harness/programs/raw-loop.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { realMails } from '../harness/users/mails.js';
import { type FamilyName, familyNames } from '../synthetic/family-shapes.js';
import { differencesFrom } from './scores.js';

const MOST_DIFFERENCE = 1e-4;
const TEXTS = 16;
const MAX_CHARACTERS = 1500;

export const families: Benchmark = {
  name: 'families',
  about:
    'every family that is compiled from safetensors, in the size of its base model: scores, the fastest form that agrees, memory',
  run,
};

interface Measured {
  readonly name: FamilyName;
  readonly difference: number;
  readonly model: ModelDetail;
}

async function run(context: Context): Promise<Outcome> {
  const texts = realMails()
    .filter((text) => text.length <= MAX_CHARACTERS)
    .slice(0, TEXTS);
  const measured: Measured[] = [];
  for (const name of familyNames) measured.push(await measure(context, name, texts));
  const faster = measured.filter(({ model }) => (model.form ?? 'fp32') !== 'fp32');
  return {
    headline: `${measured.length} families served; ${faster.length} of them in a faster form than fp32`,
    checks: measured.map(
      ({ name, difference }): Check =>
        atMost(`${name}, fp32: largest difference of a score`, difference, MOST_DIFFERENCE),
    ),
    facts: measured.flatMap(factsOf),
    details: {
      definition: `random weights; scores of ${texts.length} mails against a plain session of the same graph`,
      families: measured.map(({ name, difference, model }) => ({
        ...{ name, difference, form: model.form, reason: model.form_reason },
        ...{ mapped_mb: model.mapped_mb, private_mb: model.private_mb, verdict: model.verdict },
      })),
    },
  };
}

async function measure(
  context: Context,
  name: FamilyName,
  texts: readonly string[],
): Promise<Measured> {
  const size = context.quick ? 'small' : 'base';
  const checkpoint = await checkpointModel(name, size, context.progress);
  await prepare([checkpoint], context.progress);
  context.progress.at(`${name}: the plain session`);
  const raw = new RawLoop(context, await plainModelOf(checkpoint), 1);
  const expected = await raw.scores(texts, 2);
  await raw.stop();
  context.progress.at(`${name}: scores in fp32`);
  const exact = await startServer(context, { models: [checkpoint], settings: UNCACHED });
  const difference = (await differencesFrom(exact.api, checkpoint.id, texts, expected)).difference;
  await exact.stop();
  context.progress.at(`${name}: the fastest form that agrees`);
  const byDefault = { ...checkpoint, dtype: 'auto' } as const;
  await prepare([byDefault], context.progress);
  const server = await startServer(context, { models: [byDefault], settings: UNCACHED });
  await server.api.load(checkpoint.id);
  const model = await server.api.model(checkpoint.id);
  await server.stop();
  return { name, difference, model };
}

function factsOf({ name, model }: Measured): readonly Fact[] {
  const used = model.verdict?.candidates.find(({ form }) => form === model.form);
  const tried = used ?? model.verdict?.candidates[0];
  const labels = tried?.labels_percent;
  const [one, batch] = [tried?.one_row_speedup, tried?.batch_speedup];
  return [
    { fact: `${name}: form`, value: `${model.form ?? 'fp32'}: ${model.form_reason ?? ''}` },
    {
      fact: `${name}: integers against fp32`,
      value:
        tried === undefined
          ? 'none were tried'
          : `${tried.form}: ${shown(labels, ' % of labels')}, ${shown(one, ' × for one row')}, ${shown(batch, ' × for a batch')}`,
    },
    {
      fact: `${name}: memory`,
      value: `${shown(model.mapped_mb, ' MB mapped')}, ${shown(model.private_mb, ' MB private')}`,
    },
  ];
}

function shown(value: number | null | undefined, unit: string): string {
  return value === null || value === undefined ? `?${unit}` : `${value.toFixed(2)}${unit}`;
}
