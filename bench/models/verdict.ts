import { cp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import type { CachedModel } from '../harness/models.js';
import { projectFolder, temporaryFolder } from '../harness/program.js';
import { prepareOnce } from '../harness/programs/preparing.js';
import { median, spread } from '../harness/spread.js';

const STARTS = { full: 20, quick: 2 };
/** These models are so small that nothing is faster than fp32: only the answers decide. */
const ANSWERS_DECIDE = { 'verify.speedup': 0 };
/** A q8 of the folder that agrees in every label; its scores differ by up to 0.064. */
const WIDE = { ...ANSWERS_DECIDE, 'verify.shift': 0.1 };

export const verdict: Benchmark = {
  name: 'verdict',
  about:
    'bad and good q8 graphs of model folders that are found to be so, and what the trials take',
  run,
};

/** The part of a kept verdict that is counted. */
interface Kept {
  /** The form that serves. */
  readonly form: string;
  readonly candidates: readonly { readonly form: string; readonly outcome: string }[];
}

interface Tried {
  readonly verdicts: readonly Kept[];
  readonly seconds: readonly number[];
}

async function run(context: Context): Promise<Outcome> {
  const starts = sizeOf(context, STARTS);
  const noise = await fixture(context, 'q8-noise');
  const fine = await fixture(context, 'q8-fine');
  const bad = await tryOften(context, noise, starts, ANSWERS_DECIDE);
  const good = await tryOften(context, fine, starts, WIDE);
  const plain = await tryOften(context, { ...fine, dtype: 'fp32' }, Math.min(starts, 5), {});
  const taken = ({ verdicts }: Tried) => verdicts.filter(isShippedGood).length;
  const [badTaken, goodTaken] = [taken(bad), taken(good)];
  const added = median(good.seconds) - median(plain.seconds);
  return {
    headline: `bad found ${starts - badTaken} of ${starts}, good taken ${goodTaken} of ${starts}`,
    checks: [
      exactly('bad q8 graphs that were taken', badTaken, 0),
      exactly('good q8 graphs that were not taken', starts - goodTaken, 0),
    ],
    facts: [
      {
        fact: 'forms in place of the bad one',
        value: [...new Set(bad.verdicts.map(({ form }) => form))].join(', '),
      },
      { fact: 'preparing without trials', value: spread(plain.seconds, ' s', 1) },
      { fact: 'preparing with trials', value: spread(good.seconds, ' s', 1) },
      { fact: 'added by the trials', value: `${added.toFixed(1)} s` },
    ],
    details: { settings: { bad: ANSWERS_DECIDE, good: WIDE }, bad, good, plain },
  };
}

/** The folder's own q8 was found good: it serves, or a form that is faster still. */
function isShippedGood({ candidates }: Kept): boolean {
  return candidates.some(
    ({ form, outcome }) => form.startsWith('q8 ') && /^(used|verified)$/.test(outcome),
  );
}

/** A model of the test fixtures in a folder of its own, without what it is expected to say. */
async function fixture(context: Context, name: string): Promise<CachedModel> {
  const folder = path.join(await temporaryFolder(context, 'verdict'), name);
  await cp(path.join(projectFolder, 'test', 'fixtures', 'reference', name), folder, {
    recursive: true,
  });
  await rm(path.join(folder, 'expected.json'), { force: true });
  return { id: name, directory: folder, bytes: 0, dtype: 'auto' };
}

/** Each start has an empty data folder. */
async function tryOften(
  context: Context,
  model: CachedModel,
  starts: number,
  settings: Readonly<Record<string, number>>,
): Promise<Tried> {
  const verdicts: Kept[] = [];
  const seconds: number[] = [];
  for (let start = 1; start <= starts; start += 1) {
    context.progress.at(`${model.id}: start ${start} of ${starts}`);
    const prepared = await prepareOnce(context, model, settings);
    verdicts.push(await verdictIn(prepared.data));
    seconds.push(prepared.seconds);
    await rm(prepared.data, { recursive: true, force: true });
  }
  return { verdicts, seconds };
}

/** What the verdict in a data folder says. */
async function verdictIn(data: string): Promise<Kept> {
  const names = await readdir(path.join(data, 'mapped'), { recursive: true });
  const file = names.find((name) => path.basename(name) === 'verdict.json');
  if (file === undefined) return { form: 'fp32', candidates: [] };
  return JSON.parse(await readFile(path.join(data, 'mapped', file), 'utf8')) as Kept;
}
