import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compareTokenizers } from '../../src/models/compile/compare-tokenizers.js';
import { usualFiles } from '../../src/models/run/tokens/open-tokenizer.js';
import { MODEL_ENVIRONMENT, MODEL_NODE_FLAGS } from '../../src/system/process/tuning.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { runChild } from '../harness/child.js';
import { bundledFolder } from '../harness/models.js';
import { benchFolder } from '../harness/prepared-models.js';
import { projectFolder } from '../harness/program.js';
import { median, rounded, spread } from '../harness/spread.js';
import { realMails } from '../harness/users/mails.js';
import { enlargeTokenizer } from '../synthetic/tokenizer.js';

export interface TokenizerResult {
  readonly openMs: number;
  /** CPU time of the whole process for one mail: threads of the native one take from the same cores. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** Growth of the process since before it was opened, garbage collected. */
  readonly privateMb: number;
  /** Of each mail, for comparison. */
  readonly ids: readonly string[];
}

const KINDS = ['javascript', 'native'] as const;
type Kind = (typeof KINDS)[number];
const ROUNDS = { full: 5, quick: 1 };

/** Tokenizers of the test fixtures, enlarged to what models of these families have. */
const FAMILIES = [
  { name: 'BERT, DistilBERT, ELECTRA, MPNet', fixture: 'st-bert', entries: 30_522 },
  { name: 'RoBERTa', fixture: 'st-roberta', entries: 50_265 },
  { name: 'ModernBERT', fixture: 'st-modernbert-cls', entries: 50_368 },
  { name: 'ALBERT', fixture: 'st-albert', entries: 30_000 },
  { name: 'CamemBERT', fixture: 'st-camembert', entries: 32_005 },
  { name: 'DeBERTa-v3', fixture: 'st-deberta-v2', entries: 128_100 },
  { name: 'XLM-R', fixture: 'st-xlm-roberta-8-heads', entries: 250_002 },
] as const;

export const tokenizer: Benchmark = {
  name: 'tokenizer',
  about:
    'CPU time and private memory of the tokenizer in JavaScript, against the native one (Rust), for each family',
  run,
};

/** A folder with a tokenizer, and what was measured of it. */
interface Measured {
  readonly name: string;
  readonly choice: Kind;
  readonly why: string;
  readonly results: Readonly<Record<Kind, readonly TokenizerResult[]>>;
}

async function run(context: Context): Promise<Outcome> {
  const measured = [await measure(context, 'bundled model', bundledFolder)];
  for (const { name, fixture, entries } of FAMILIES) {
    context.progress.at(`${name}: a vocabulary of ${entries}`);
    measured.push(await measure(context, name, await enlarged(fixture, entries)));
  }
  const lean = measured.filter(({ choice }) => choice === 'javascript');
  const [bundled] = measured;
  const [js, native] = KINDS.map((kind) => median(valuesOf(bundled, kind, 'privateMb')));
  return {
    headline: measured
      .map((of) => {
        const [ms, nativeMs] = KINDS.map((kind) => median(valuesOf(of, kind, 'cpuMs')).toFixed(2));
        const [mb, nativeMb] = KINDS.map((kind) =>
          median(valuesOf(of, kind, 'privateMb')).toFixed(0),
        );
        return `${of.name} ${ms} against ${nativeMs} ms for a mail, ${mb} against ${nativeMb} MB`;
      })
      .join('; '),
    checks: [
      exactly(
        'mails with other tokens, where JavaScript is taken',
        lean.reduce((sum, of) => sum + otherTokens(of), 0),
        0,
      ),
      atMost(
        'bundled model: private memory, JavaScript ÷ native',
        rounded((js ?? Number.NaN) / (native ?? 0)),
        1,
      ),
    ],
    facts: measured.flatMap(factsOf),
    details: Object.fromEntries(
      measured.map(({ name, choice, why, results }) => [
        name,
        {
          choice,
          why,
          ...Object.fromEntries(
            KINDS.map((kind) => [kind, results[kind].map(({ ids: _, ...figures }) => figures)]),
          ),
        },
      ]),
    ),
  };
}

async function measure(context: Context, name: string, folder: string): Promise<Measured> {
  const rounds = sizeOf(context, ROUNDS);
  const { choice, why } = await compareTokenizers(usualFiles(folder));
  const results: Record<Kind, TokenizerResult[]> = { javascript: [], native: [] };
  // In turns: what else the machine does meets both alike.
  for (let round = 1; round <= rounds; round += 1) {
    for (const kind of KINDS) {
      context.progress.at(`${name}: round ${round} of ${rounds}, ${kind}`);
      const options = { nodeFlags: MODEL_NODE_FLAGS, environment: MODEL_ENVIRONMENT };
      const program = 'models/tokenizer-main';
      results[kind].push(
        await runChild<TokenizerResult>(context, program, [kind, folder], options),
      );
    }
  }
  return { name, choice: choice.kind, why, results };
}

/** @returns the folder of the enlarged tokenizer */
async function enlarged(fixture: string, entries: number): Promise<string> {
  const source = path.join(projectFolder, 'test', 'fixtures', 'reference', fixture);
  const folder = path.join(benchFolder(), 'tokenizers', `${fixture}-${entries}`);
  await mkdir(folder, { recursive: true });
  const json = await enlargeTokenizer(path.join(source, 'tokenizer.json'), entries, realMails());
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
  return folder;
}

function otherTokens({ results: { javascript, native } }: Measured): number {
  const expected = native[0]?.ids ?? [];
  if (expected.length === 0) return Number.NaN;
  return (javascript[0]?.ids ?? []).filter((ids, mail) => ids !== expected[mail]).length;
}

function valuesOf(
  of: Measured | undefined,
  kind: Kind,
  what: keyof Omit<TokenizerResult, 'ids'>,
): readonly number[] {
  return (of?.results[kind] ?? []).map((each) => each[what]);
}

function factsOf(of: Measured): readonly Fact[] {
  const { name, choice, why } = of;
  return [
    { fact: `${name}: taken`, value: `${choice}: ${why}` },
    ...KINDS.flatMap((kind): Fact[] => [
      {
        fact: `${name}, ${kind}: CPU of one mail`,
        value: spread(valuesOf(of, kind, 'cpuMs'), ' ms', 3),
      },
      {
        fact: `${name}, ${kind}: private memory`,
        value: spread(valuesOf(of, kind, 'privateMb'), ' MB', 1),
      },
      { fact: `${name}, ${kind}: opening`, value: spread(valuesOf(of, kind, 'openMs'), ' ms', 1) },
    ]),
  ];
}
