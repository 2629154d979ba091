import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MODEL_ENVIRONMENT, MODEL_NODE_FLAGS } from '../../src/system/process/tuning.js';
import { readProcessMemory } from '../../src/system/process-memory.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import { median, rounded, spread } from '../harness/spread.js';
import type { Fetched, FetchOrder } from './pull-client-main.js';

const MB = 2 ** 20;
const SIZES = { full: { mb: 500, rounds: 5 }, quick: { mb: 64, rounds: 2 } };
const WAYS = ['plain', 'pull'] as const;
const LEAST_RATE_RATIO = 0.8;
const MOST_PRIVATE_MB = 40;
/** Time between two readings of the process that fetches, ms. */
const SAMPLE_MS = 25;

interface Run extends Fetched {
  readonly mbPerSecond: number;
  /** Most private memory above what the process had before it fetched. */
  readonly peakMb: number;
}

type Hub = Pick<FetchOrder, 'endpoint' | 'storage'>;

export const pull: Benchmark = {
  name: 'pull',
  about: 'Fetching a model from a hub on the loopback, against a plain download of its bytes',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { mb, rounds } = sizeOf(context, SIZES);
  const program = startChild(context, 'models/pull-hub-main', [String(mb * MB)]);
  const hub = (await program.next()) as Hub;
  const runs: Record<(typeof WAYS)[number], Run[]> = { plain: [], pull: [] };
  for (let round = 1; round <= rounds; round += 1) {
    // In turns, and each way first as often as the other.
    for (const way of round % 2 === 1 ? WAYS : WAYS.toReversed()) {
      context.progress.at(`round ${round} of ${rounds}, ${way}`);
      runs[way].push(await fetchOnce(context, hub, way));
    }
  }
  context.progress.at('a connection that breaks at half');
  const cut = await fetchCut(context, program, hub);
  const rates = WAYS.map((way) => runs[way].map(({ mbPerSecond }) => mbPerSecond));
  const [plainRate = 0, pullRate = 0] = rates.map(median);
  const peakMb = Math.max(...runs.pull.map((of) => of.peakMb), cut.run.peakMb);
  return {
    headline: `${pullRate.toFixed(0)} against ${plainRate.toFixed(0)} MB/s, ${peakMb.toFixed(1)} MB private above rest`,
    checks: [
      atLeast(
        'rate of the pull ÷ rate of a plain download',
        rounded(pullRate / plainRate),
        LEAST_RATE_RATIO,
      ),
      atMost('peak private memory above rest', rounded(peakMb), MOST_PRIVATE_MB, 'MB'),
      exactly('bytes that came ÷ bytes of the file, cut at half', cut.run.bytes / (mb * MB), 1),
      exactly('requests for the file, cut at half', cut.ranges.length, 2),
    ],
    facts: [
      ...WAYS.map((way, index) => ({
        fact: `rate, ${way}`,
        value: spread(rates[index] ?? [], ' MB/s', 0),
      })),
      {
        fact: 'peak above rest, plain',
        value: spread(
          runs.plain.map((of) => of.peakMb),
          ' MB',
          1,
        ),
      },
      { fact: 'the second request after the cut asks for', value: cut.ranges[1] ?? 'nothing' },
    ],
    details: { mb, rounds, runs, cut },
  };
}

async function fetchOnce(context: Context, hub: Hub, way: FetchOrder['way']): Promise<Run> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-pull-'));
  try {
    const child = startChild(context, 'models/pull-client-main', [], {
      nodeFlags: MODEL_NODE_FLAGS,
      environment: MODEL_ENVIRONMENT,
    });
    await child.next();
    const pid = child.process.pid ?? 0;
    const atRest = (await readProcessMemory(pid))?.privateBytes ?? Number.NaN;
    let peak = atRest;
    const timer = setInterval(() => {
      void readProcessMemory(pid).then((memory) => {
        peak = Math.max(peak, memory?.privateBytes ?? 0);
      });
    }, SAMPLE_MS);
    const order: FetchOrder = { way, ...hub, folder };
    child.tell(order);
    const fetched = (await child.next().finally(() => clearInterval(timer))) as Fetched;
    await child.ended;
    const mbPerSecond = fetched.bytes / MB / (fetched.ms / 1000);
    return { ...fetched, mbPerSecond, peakMb: (peak - atRest) / MB };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A pull whose connection breaks at half, and the ranges that it asked for. */
async function fetchCut(context: Context, program: Child, hub: Hub) {
  program.tell('cut');
  await program.next();
  const run = await fetchOnce(context, hub, 'pull');
  program.tell('ranges');
  return { run, ranges: (await program.next()) as readonly string[] };
}
