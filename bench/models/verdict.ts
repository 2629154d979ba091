import { cp, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { QUANTISED_GRAPH, quantisePerToken } from '../../src/models/compile/quantise/per-token.js';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { bundledFolder, type CachedModel } from '../harness/models.js';
import { projectFolder, temporaryFolder } from '../harness/program.js';
import { prepareOnce } from '../harness/programs/preparing.js';
import { median, spread } from '../harness/spread.js';

const STARTS = { full: 20, quick: 2 };
/**
 * The bounds on answers are those that a server has by default. Only the bound on speed is lifted: models so small gain nothing by integers
 * on a CPU without VNNI, and here the answers are to decide.
 */
const ANSWERS_DECIDE = { 'verify.speedup': 0 };
/** Defaults of `verify.labels` and `verify.shift`. */
const LEAST_LABELS_PERCENT = 99.5;
const MOST_SHIFT = 0.05;
/** Two products always fit into 16 bits, so every CPU computes the same. */
const GOOD_WEIGHTS = 'int7';

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
  readonly candidates: readonly {
    readonly form: string;
    readonly outcome: string;
    /** Missing if it was not compared to the end. */
    readonly agreement?: { readonly labels: number; readonly shift: number };
  }[];
}

interface Tried {
  readonly verdicts: readonly Kept[];
  readonly seconds: readonly number[];
}

async function run(context: Context): Promise<Outcome> {
  const starts = sizeOf(context, STARTS);
  const noise = await fixture(context, 'q8-noise');
  const fine = await withGoodForm(context);
  const bad = await tryOften(context, noise, starts, ANSWERS_DECIDE);
  const good = await tryOften(context, fine, starts, ANSWERS_DECIDE);
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
      { fact: 'the good one against fp32', value: agreementsOf(good) },
      { fact: 'preparing without trials', value: spread(plain.seconds, ' s', 1) },
      { fact: 'preparing with trials', value: spread(good.seconds, ' s', 1) },
      { fact: 'added by the trials', value: `${added.toFixed(1)} s` },
    ],
    details: {
      definition:
        'bad: a fixture whose shipped q8 answers otherwise; good: the bundled model with a q8 that our own quantiser made of its fp32, ' +
        'weights by column and activations by token; taken: its labels and scores were verified by the default bounds',
      settings: ANSWERS_DECIDE,
      ...{ bad, good, plain },
    },
  };
}

/** The folder's own q8 was verified by its labels and scores: it serves, or a form that is faster still. */
function isShippedGood(kept: Kept): boolean {
  const shipped = shippedIn(kept);
  const { labels = 0, shift = Infinity } = shipped?.agreement ?? {};
  const isVerified = /^(used|verified)$/.test(shipped?.outcome ?? '');
  return isVerified && labels >= LEAST_LABELS_PERCENT && shift <= MOST_SHIFT;
}

function shippedIn({ candidates }: Kept) {
  return candidates.find(({ form }) => form.startsWith('q8 '));
}

function agreementsOf({ verdicts }: Tried): string {
  const each = verdicts.flatMap((kept) => shippedIn(kept)?.agreement ?? []);
  const least = Math.min(...each.map(({ labels }) => labels));
  const most = Math.max(...each.map(({ shift }) => shift));
  return `${least.toFixed(1)} % of labels at least, scores off by ${most.toFixed(3)} at most`;
}

/** The bundled model with a q8 beside its fp32. */
async function withGoodForm(context: Context): Promise<CachedModel> {
  const directory = path.join(await temporaryFolder(context, 'verdict'), 'q8-good');
  await cp(bundledFolder, directory, { recursive: true });
  const folder = path.join(directory, 'onnx');
  const source = { graphFile: path.join(folder, 'model.onnx'), dataFolder: folder };
  await quantisePerToken(source, folder, { weights: GOOD_WEIGHTS });
  await rename(path.join(folder, QUANTISED_GRAPH), path.join(folder, 'model_quantized.onnx'));
  return { id: 'q8-good', directory, bytes: 0, dtype: 'auto' };
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
