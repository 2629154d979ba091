import { mean } from '../../src/proof/statistics.js';
import { type Api, privateMb } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause, Tally } from '../harness/load.js';
import { syntheticModels } from '../harness/models.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const SESSIONS = { full: 200, quick: 20 };
/** Sessions before the first that counts: V8's and the allocator's own stores fill up in them. */
const WARM_UP = 10;
/** Sessions at either end whose memory at rest is compared. */
const EDGE = 20;
const LEAST_BACK_PERCENT = 99;
const MOST_GROWTH_PERCENT = 1;
const BACK_WITHIN_MS = 1000;
const MODELS = 3;
/** Words of one text: a mail of ordinary length, about 150 tokens. */
const WORDS = 120;
const SAMPLED_EVERY_MS = 40;

export const returned: Benchmark = {
  name: 'return',
  about:
    'private memory that a session on three bert-base models took, and that is given back 1 s after its end',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const models = await syntheticModels('bert-base', MODELS, progress);
  // Recycling as by default; `drift` shows what grows without it.
  const { api } = await startServer(context, { models, settings: UNCACHED });
  const tally = new Tally();
  const texts = new Texts(2);
  const count = sizeOf(context, SESSIONS);
  const sessions: Sample[] = [];
  for (let number = -WARM_UP; number < count; number += 1) {
    progress.at(`session ${number + 1} of ${count}`);
    const ids = models.map(({ id }) => id);
    const sample = await oneSession(api, ids, texts, tally);
    if (number >= 0) sessions.push(sample);
  }
  const recycles = await api.metric('plimsoll_recycles_total');
  return outcomeOf(sessions, tally, recycles);
}

function outcomeOf(sessions: readonly Sample[], tally: Tally, recycles: number): Outcome {
  const each = (of: (sample: Sample) => number) => sessions.map(of);
  const residues = each(({ residueMb }) => residueMb.all);
  const taken = each(({ peakMb, beforeMb }) => peakMb - beforeMb.all);
  const shares = each(
    ({ beforeMb, peakMb, residueMb }) => (100 * (peakMb - residueMb.all)) / (peakMb - beforeMb.all),
  );
  const edge = Math.min(EDGE, Math.floor(sessions.length / 2));
  const growth = mean(residues.slice(-edge)) / mean(residues.slice(0, edge)) - 1;
  const whole = wholeShare(taken, residues);
  return {
    headline: `${median(shares).toFixed(1)} % (median of ${sessions.length} sessions), ${whole.toFixed(1)} % over all of them`,
    checks: [
      atLeast(
        'private memory of a session that is back after 1 s, median',
        rounded(median(shares)),
        LEAST_BACK_PERCENT,
        '%',
      ),
      atMost(
        'growth of memory at rest, last 20 sessions against the first 20',
        rounded(100 * growth),
        MOST_GROWTH_PERCENT,
        '%',
      ),
      exactly('failed requests', tally.failures.length, 0),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'share that is back, %', value: spread(shares) },
      { fact: 'worst share, %', value: Math.min(...shares).toFixed(2) },
      { fact: 'taken by a session', value: spread(taken, ' MB') },
      ...factsOf(sessions),
      { fact: 'share of all that all sessions took, %', value: whole.toFixed(2) },
      { fact: 'private memory at rest, all processes', value: spread(residues, ' MB') },
      { fact: 'recycles meanwhile', value: String(recycles) },
    ],
    details: {
      definition:
        'share = (peak − residue) ÷ (peak − before), of the private bytes of all processes: before the session opens, ' +
        `the most of the readings every ${SAMPLED_EVERY_MS} ms while it runs, and 1 s after its end; ` +
        `${WARM_UP} sessions before the first that counts; two users a session, so workers are recycled every 25 sessions`,
      failures: tally.firstFailures,
      sessions,
    },
  };
}

/** Where the memory of a session was, and what its cleanup took. */
function factsOf(sessions: readonly Sample[]): readonly Fact[] {
  const each = (of: (sample: Sample) => number) => sessions.map(of);
  const held = each(({ usedMb, beforeMb }) => usedMb.all - beforeMb.all);
  const left = each(({ residueMb, beforeMb }) => workersOf(residueMb) - workersOf(beforeMb));
  const leftInMain = each(({ residueMb, beforeMb }) => residueMb.main - beforeMb.main);
  const cleanups = each(({ cleanupMs }) => cleanupMs);
  return [
    { fact: 'still held just before its end', value: spread(held, ' MB') },
    { fact: 'left in the workers', value: spread(left, ' MB', 3) },
    { fact: 'left in the main process', value: spread(leftInMain, ' MB', 3) },
    { fact: 'cleanup', value: spread(cleanups, ' ms', 0) },
  ];
}

/** Private memory in MB: of all processes, and of the main process among them. */
interface Held {
  readonly all: number;
  readonly main: number;
}

function workersOf({ all, main }: Held): number {
  return all - main;
}

interface Sample {
  readonly beforeMb: Held;
  /** The most that all processes held together while it ran. */
  readonly peakMb: number;
  /** After the last answer, before the end. */
  readonly usedMb: Held;
  readonly residueMb: Held;
  readonly cleanupMs: number;
}

async function held(api: Api): Promise<Held> {
  const memory = await api.memory();
  const main = memory.processes.find(({ role }) => role === 'main');
  return { all: privateMb(memory), main: main?.private_mb ?? Number.NaN };
}

async function oneSession(
  api: Api,
  models: readonly string[],
  texts: Texts,
  tally: Tally,
): Promise<Sample> {
  const beforeMb = await held(api);
  const session = await api.openSession();
  const play = async (user: string) => {
    for (const model of models) {
      tally.take(await api.classify({ model, session, user, inputs: texts.next(WORDS) }));
    }
  };
  let isOver = false;
  const sampling = (async () => {
    let peakMb = 0;
    while (!isOver) {
      peakMb = Math.max(peakMb, (await held(api)).all);
      await pause(SAMPLED_EVERY_MS);
    }
    return peakMb;
  })();
  // Two users at once, so that every worker gets to run the models.
  await Promise.all([play('one'), play('two')]);
  isOver = true;
  const usedMb = await held(api);
  const peakMb = Math.max(await sampling, usedMb.all);
  const { cleanup } = await api.endSession(session);
  await pause(BACK_WITHIN_MS);
  const residueMb = await held(api);
  return { beforeMb, peakMb, usedMb, residueMb, cleanupMs: cleanup.duration_ms };
}

/** How much of all that the sessions took together came back, in percent. */
function wholeShare(taken: readonly number[], residues: readonly number[]): number {
  const sum = taken.reduce((total, megabytes) => total + megabytes, 0);
  const left = (residues.at(-1) ?? Number.NaN) - (residues[0] ?? Number.NaN);
  return 100 * (1 - left / sum);
}
