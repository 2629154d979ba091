import type { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause } from '../harness/load.js';
import { bundledModel, type CachedModel, familyModel, quantisedModel } from '../harness/models.js';
import { RawLoop, type RawScores } from '../harness/programs/raw-loop.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { rounded } from '../harness/spread.js';
import { gearsOf } from '../harness/users/hot-gear.js';
import { realMails } from '../harness/users/mails.js';
import { familyNames } from '../synthetic/family-shapes.js';
import { differencesFrom, type ScoreDifferences } from './scores.js';

const TEXTS = { full: 1000, quick: 100 };
const MOST_DIFFERENCE = 1e-4;
const LEAST_AGREEMENT = 0.99;
const FAMILY_TEXTS = { full: 200, quick: 20 };
/** Long texts take their time in the raw session, and say no more. */
const MAX_FAMILY_CHARACTERS = 2000;
const HOT_WITHIN_MS = 30_000;

export const sameScores: Benchmark = {
  name: 'same-scores',
  about:
    'difference of scores from those of a raw session, in batches of many sizes, both gears: the bundled model in fp32 and q8, and every family',
  run,
};

type Part = Pick<Outcome, 'checks' | 'facts'> & { readonly headline: string };

async function run(context: Context): Promise<Outcome> {
  const bundled = await ofBundled(context);
  const families = await ofFamilies(context);
  return {
    headline: `${bundled.headline}; ${families.headline}`,
    checks: [...bundled.checks, ...families.checks],
    facts: [...bundled.facts, ...families.facts],
    details: {},
  };
}

/** Every family that is compiled from safetensors, in fp32, with random weights. */
async function ofFamilies(context: Context): Promise<Part> {
  const texts = realTexts()
    .filter((text) => text.length <= MAX_FAMILY_CHARACTERS)
    .slice(0, sizeOf(context, FAMILY_TEXTS));
  const checks: Check[] = [];
  const facts: Fact[] = [];
  let largest = 0;
  for (const name of familyNames) {
    const model = await familyModel(name, 'small', context.progress);
    const raw = new RawLoop(context, model.plain, 1);
    context.progress.at(`${name}, the raw session`);
    const expected = await raw.scores(texts, 2);
    await raw.stop();
    for (const gear of ['cold', 'hot'] as const) {
      const found = await compare(context, model, gear, texts, expected);
      largest = Math.max(largest, found.difference);
      checks.push(
        atMost(
          `${name}, ${gear}: largest difference of a score`,
          found.difference,
          MOST_DIFFERENCE,
        ),
      );
    }
    const tops = new Set(expected.scores.map((scores) => scores.indexOf(Math.max(...scores))));
    facts.push({ fact: `${name}: labels that its texts get`, value: String(tops.size) });
  }
  const headline = `${familyNames.length} families at most ${largest.toExponential(0)}`;
  return { headline, checks, facts };
}

async function ofBundled(context: Context): Promise<Part> {
  const texts = realTexts().slice(0, sizeOf(context, TEXTS));
  const raw = new RawLoop(context, bundledModel, 1);
  context.progress.at('the raw session');
  const expected = await raw.scores(texts, 2);
  await raw.stop();
  const checks: Check[] = [];
  let largest = 0;
  for (const gear of ['cold', 'hot'] as const) {
    const found = await compare(context, bundledModel, gear, texts, expected);
    largest = Math.max(largest, found.difference);
    checks.push(
      atMost(`fp32, ${gear}: largest difference of a score`, found.difference, MOST_DIFFERENCE),
      exactly(`fp32, ${gear}: texts with another label`, found.otherLabels, 0),
    );
  }
  const q8 = await quantisedModel(bundledModel, context.progress);
  let difference = 0;
  for (const gear of ['cold', 'hot'] as const) {
    const found = await compare(context, q8, gear, texts, expected);
    const agreement = rounded(1 - found.otherLabels / texts.length);
    checks.push(
      atLeast(`q8, ${gear}: share of texts with the label of fp32`, agreement, LEAST_AGREEMENT),
    );
    difference = Math.max(difference, found.difference);
  }
  return {
    headline: `fp32 at most ${largest.toExponential(0)}, q8 at most ${difference.toFixed(3)} on ${texts.length} texts`,
    checks,
    facts: [
      { fact: 'texts', value: `${texts.length}: ${realMails().length} whole mails, then halves` },
      { fact: 'q8: largest difference of a score from fp32', value: difference.toFixed(4) },
    ],
  };
}

/** All real mails, then the two halves of each: the mails alone are too few. */
function realTexts(): readonly string[] {
  const mails = realMails();
  const halves = mails.flatMap((mail) => {
    const middle = mail.indexOf(' ', mail.length / 2);
    return middle < 0 ? [] : [mail.slice(0, middle), mail.slice(middle + 1)];
  });
  return [...mails, ...halves];
}

async function compare(
  context: Context,
  model: CachedModel,
  gear: 'cold' | 'hot',
  texts: readonly string[],
  expected: RawScores,
): Promise<ScoreDifferences> {
  const settings = { ...UNCACHED, 'models.gear': gear };
  const server = await startServer(context, { models: [model], settings });
  await server.api.load(model.id);
  if (gear === 'hot') await allHot(server.api, model.id);
  const found = await differencesFrom(server.api, model.id, texts, expected, (done) =>
    context.progress.at(`${model.id}, ${gear}: text ${done} of ${texts.length}`),
  );
  const gears = await gearsOf(server.api, model.id);
  if (gears.some((each) => each !== gear)) throw new Error(`it ran in ${gears.join(', ')}`);
  await server.stop();
  return found;
}

/** Waits until every worker holds it in the hot gear. */
async function allHot(api: Api, model: string): Promise<void> {
  const until = performance.now() + HOT_WITHIN_MS;
  for (;;) {
    const gears = await gearsOf(api, model);
    if (gears.length > 0 && gears.every((gear) => gear === 'hot')) return;
    const { pressure } = await api.memory();
    if (performance.now() > until) {
      throw new Error(`still ${gears.join(', ') || 'unloaded'}, pressure ${pressure}`);
    }
    // Other work on the machine may have made the server unload it.
    if (gears.length === 0) await api.load(model);
    await pause(50);
  }
}
