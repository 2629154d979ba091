import type { Answer } from '../../src/contract/classify.js';
import { type Api, describeFailure } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { pause } from '../harness/load.js';
import { type CachedModel, quantisedModel } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { rounded } from '../harness/spread.js';
import { gearsOf } from './gears.js';
import { bundledModel, realMails } from './mails.js';
import { RawLoop } from './raw.js';

const MAILS = { full: 1000, quick: 100 };
const MOST_DIFFERENCE = 1e-4;
const LEAST_AGREEMENT = 0.99;
const HOT_WITHIN_MS = 30_000;

type Scores = Awaited<ReturnType<RawLoop['scores']>>;

/** Speed changes no score: any batch in any gear gives what a plain session gives for each mail alone. */
export const sameScores: Benchmark = {
  name: 'same-scores',
  about:
    'real mails and halves of them, 1,000 in all, through the server, batches of many sizes, both gears, fp32 and q8: scores against a raw session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const mails = realTexts().slice(0, context.quick ? MAILS.quick : MAILS.full);
  const raw = new RawLoop(context, bundledModel, 1);
  context.progress.at('the raw session');
  const expected = await raw.scores(mails, 2);
  await raw.stop();
  const checks: Check[] = [];
  for (const gear of ['cold', 'hot'] as const) {
    const found = await compare(context, bundledModel, gear, mails, expected);
    checks.push(
      atMost(`fp32, ${gear}: largest difference of a score`, found.difference, MOST_DIFFERENCE),
      exactly(`fp32, ${gear}: mails with another label`, found.otherLabels, 0),
    );
  }
  const q8 = await quantisedModel(bundledModel, context.progress);
  let difference = 0;
  for (const gear of ['cold', 'hot'] as const) {
    const found = await compare(context, q8, gear, mails, expected);
    const agreement = rounded(1 - found.otherLabels / mails.length);
    checks.push(
      atLeast(`q8, ${gear}: share of labels that are fp32’s`, agreement, LEAST_AGREEMENT),
    );
    difference = Math.max(difference, found.difference);
  }
  return {
    checks,
    facts: [
      { fact: 'texts', value: `${mails.length}: ${realMails().length} whole mails, then halves` },
      { fact: 'q8: largest difference of a score from fp32', value: difference.toFixed(4) },
    ],
    details: {},
  };
}

/** Every real mail that is there; then, as they are fewer than wanted, the halves of each. */
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
  mails: readonly string[],
  { labels, scores: expected }: Scores,
): Promise<{ readonly difference: number; readonly otherLabels: number }> {
  const settings = { 'cache.max_size': 0, 'models.gear': gear };
  const server = await startServer(context, { models: [model], settings });
  await server.api.load(model.id);
  if (gear === 'hot') await allHot(server.api, model.id);
  let difference = 0;
  let otherLabels = 0;
  let done = 0;
  for (let size = 1; done < mails.length; size = (size % 53) + 7) {
    context.progress.at(`${model.id}, ${gear}: mail ${done} of ${mails.length}`);
    const part = mails.slice(done, done + size);
    const reply = await server.api.classify({ model: model.id, inputs: part });
    if (reply.status !== 200) throw new Error(describeFailure(reply));
    for (const [row, result] of (reply.body as Answer).results.entries()) {
      const wanted = expected[done + row] ?? [];
      for (const { label, score } of result) {
        difference = Math.max(difference, Math.abs(score - (wanted[labels.indexOf(label)] ?? 9)));
      }
      const top = labels[wanted.indexOf(Math.max(...wanted))];
      if (result[0]?.label !== top) otherLabels += 1;
    }
    done += part.length;
  }
  const gears = await gearsOf(server.api, model.id);
  if (gears.some((each) => each !== gear)) throw new Error(`it ran in ${gears.join(', ')}`);
  await server.stop();
  return { difference, otherLabels };
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
    // What else the machine does may have made the server unload it.
    if (gears.length === 0) await api.load(model);
    await pause(50);
  }
}
