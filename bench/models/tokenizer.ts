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
import { installedPeer } from '../harness/programs/peer.js';
import { median, rounded, spread } from '../harness/spread.js';

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

const KINDS = ['js', 'native'] as const;
const ROUNDS = { full: 5, quick: 1 };

export const tokenizer: Benchmark = {
  name: 'tokenizer',
  about:
    'CPU time and private memory of the tokenizer in JavaScript, against the native one (Rust)',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const nativeFolder = await installedPeer('native-tokenizer', context.progress);
  const rounds = sizeOf(context, ROUNDS);
  const results: Record<(typeof KINDS)[number], TokenizerResult[]> = { js: [], native: [] };
  for (let round = 1; round <= rounds; round += 1) {
    for (const kind of KINDS) {
      context.progress.at(`round ${round} of ${rounds}, ${kind}`);
      const args = [kind, bundledFolder, nativeFolder];
      const options = { nodeFlags: MODEL_NODE_FLAGS, environment: MODEL_ENVIRONMENT };
      const name = 'models/tokenizer-main';
      results[kind].push(await runChild<TokenizerResult>(context, name, args, options));
    }
  }
  const of = (kind: (typeof KINDS)[number], what: keyof Omit<TokenizerResult, 'ids'>) =>
    results[kind].map((each) => each[what]);
  const [cpu, held] = (['cpuMs', 'privateMb'] as const).map((what) =>
    KINDS.map((kind) => median(of(kind, what))),
  );
  const [js = Number.NaN, native = Number.NaN] = held ?? [];
  const expected = results.native[0]?.ids ?? [];
  const other = (results.js[0]?.ids ?? []).filter((ids, mail) => ids !== expected[mail]);
  const facts = KINDS.flatMap((kind): Fact[] => [
    { fact: `${kind}: CPU of one mail`, value: spread(of(kind, 'cpuMs'), ' ms', 3) },
    { fact: `${kind}: time of one mail`, value: spread(of(kind, 'wallMs'), ' ms', 3) },
    { fact: `${kind}: private memory`, value: spread(of(kind, 'privateMb'), ' MB', 1) },
    { fact: `${kind}: opening`, value: spread(of(kind, 'openMs'), ' ms', 1) },
  ]);
  const cpuOf = (cpu ?? []).map((ms) => ms.toFixed(2)).join(' against ');
  return {
    headline: `${cpuOf} ms for a mail, ${js.toFixed(0)} against ${native.toFixed(0)} MB`,
    checks: [
      exactly('mails with other tokens', expected.length === 0 ? Number.NaN : other.length, 0),
      atMost('private memory, JavaScript ÷ native', rounded(js / native), 1),
    ],
    facts: [{ fact: 'mails', value: String(expected.length) }, ...facts],
    details: Object.fromEntries(
      KINDS.map((kind) => [kind, results[kind].map(({ ids: _, ...figures }) => figures)]),
    ),
  };
}
