import { MODEL_ENVIRONMENT, MODEL_NODE_FLAGS } from '../../src/system/process/tuning.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import { installedPeer } from '../harness/peer.js';
import { median, rounded, spread } from '../harness/spread.js';
import { bundledFolder } from './mails.js';

export interface TokenizerResult {
  readonly openMs: number;
  /** CPU time of the whole process for one mail: its pool's threads take from the same cores. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** What the process holds more than before it was opened, garbage collected. */
  readonly privateMb: number;
  /** Of each mail, for comparison. */
  readonly ids: readonly string[];
}

const KINDS = ['js', 'native'] as const;
const ROUNDS = { full: 5, quick: 1 };

/** The tokenizer that workers use against the one in Rust: time, and memory that each worker would hold. */
export const tokenizer: Benchmark = {
  name: 'tokenizer',
  about: '@huggingface/tokenizers against the native `tokenizers`: CPU time and private memory',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const native = await installedPeer('native-tokenizer', context.progress);
  const rounds = context.quick ? ROUNDS.quick : ROUNDS.full;
  const results: Record<(typeof KINDS)[number], TokenizerResult[]> = { js: [], native: [] };
  for (let round = 1; round <= rounds; round += 1) {
    for (const kind of KINDS) {
      context.progress.at(`round ${round} of ${rounds}, ${kind}`);
      const args = [kind, bundledFolder, native];
      const child = startChild(context, 'speed/tokenizer-loop', args, {
        nodeFlags: MODEL_NODE_FLAGS,
        environment: MODEL_ENVIRONMENT,
      });
      results[kind].push((await child.next()) as TokenizerResult);
      await child.ended;
    }
  }
  const of = (kind: (typeof KINDS)[number], what: keyof Omit<TokenizerResult, 'ids'>) =>
    results[kind].map((each) => each[what]);
  const memory = median(of('js', 'privateMb')) / median(of('native', 'privateMb'));
  const expected = results.native[0]?.ids ?? [];
  const other = (results.js[0]?.ids ?? []).filter((ids, mail) => ids !== expected[mail]);
  const facts = KINDS.flatMap((kind): Fact[] => [
    { fact: `${kind}: CPU of one mail`, value: spread(of(kind, 'cpuMs'), ' ms', 3) },
    { fact: `${kind}: time of one mail`, value: spread(of(kind, 'wallMs'), ' ms', 3) },
    { fact: `${kind}: private memory`, value: spread(of(kind, 'privateMb'), ' MB', 1) },
    { fact: `${kind}: opening`, value: spread(of(kind, 'openMs'), ' ms', 1) },
  ]);
  return {
    checks: [
      exactly('mails with other tokens', expected.length === 0 ? Number.NaN : other.length, 0),
      atMost('private memory, ours ÷ native', rounded(memory), 1),
    ],
    facts: [{ fact: 'mails', value: String(expected.length) }, ...facts],
    details: Object.fromEntries(
      KINDS.map((kind) => [kind, results[kind].map(({ ids: _, ...figures }) => figures)]),
    ),
  };
}
