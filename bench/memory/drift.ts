import { theilSen } from '../../src/proof/judge/trend.js';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { Tally } from '../harness/load.js';
import { type CachedModel, syntheticModel } from '../harness/models.js';
import { NO_RECYCLING, startServer, UNCACHED } from '../harness/server.js';
import { rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const SESSIONS = { full: 1000, quick: 50 };
const USERS = 8;
const REQUESTS_PER_USER = 2;
/** Sessions before the first that counts: stores with a limit fill up (64 remembered sessions, V8's code). */
const WARM_UP = { full: 300, quick: 10 };
const BOUND_KB = 1;
/** Nothing clears the result cache without recycling: that it fills up to its limit is no leak. */
const WITHOUT_RECYCLING = { ...NO_RECYCLING, 'recycle.after_growth': '1T', ...UNCACHED };
const AS_BY_DEFAULT = { 'recycle.after_users': 50 };

export const drift: Benchmark = {
  name: 'drift',
  about: 'growth of private memory over 1,000 sessions of 8 users',
  run,
};

interface Series {
  /** Of all processes at the end of each session. */
  readonly privateMb: readonly number[];
  /** Of the main process alone, just after. */
  readonly mainMb: readonly number[];
  readonly failures: readonly string[];
  readonly recycles: number;
}

async function run(context: Context): Promise<Outcome> {
  const model = await syntheticModel('minilm', context.progress);
  const without = await play(context, model, WITHOUT_RECYCLING, 'without recycling');
  const withRecycling = await play(context, model, AS_BY_DEFAULT, 'recycling every 50 users');
  const warmUp = sizeOf(context, WARM_UP);
  const hard = slopeKb(without.privateMb, warmUp);
  const usual = slopeKb(withRecycling.privateMb, warmUp);
  return {
    headline: `${usual.slope.toFixed(2)} KB a session (upper 95 % bound ${usual.high.toFixed(2)}); without any recycling ${hard.slope.toFixed(2)} (${hard.high.toFixed(2)})`,
    checks: [
      atMost('slope without recycling, upper 95 % bound', hard.high, BOUND_KB, 'KB a session'),
      atMost('slope as by default, upper 95 % bound', usual.high, BOUND_KB, 'KB a session'),
      exactly('failed requests', without.failures.length + withRecycling.failures.length, 0),
    ],
    facts: [
      { fact: 'slope without recycling', value: shown(hard) },
      { fact: 'slope with recycling every 50 users', value: shown(usual) },
      {
        fact: 'of these, in the main process',
        value: [without, withRecycling]
          .map(({ mainMb }) => slopeKb(mainMb, warmUp).slope.toFixed(3))
          .join(' and '),
      },
      {
        fact: 'private memory at the end of a session, without',
        value: spread(without.privateMb.slice(warmUp), ' MB'),
      },
      {
        fact: 'private memory at the end of a session, with',
        value: spread(withRecycling.privateMb.slice(warmUp), ' MB'),
      },
      { fact: 'recycles', value: `${without.recycles} and ${withRecycling.recycles}` },
    ],
    details: {
      definition:
        'Theil–Sen slope of receipt.after.private_mb over the sessions; minilm, ' +
        `${REQUESTS_PER_USER} requests of each user, after ${warmUp} sessions of warm-up; without recycling, whatever a ` +
        'worker keeps stays, and the result cache is off',
      slope_kb: { without_recycling: hard, with_recycling: usual },
      // The end of the warm-up decides much: these are the slopes with others.
      slope_kb_after: Object.fromEntries(
        [0, 100, 300, 500].map((sessions) => [
          sessions,
          {
            without_recycling: slopeKb(without.privateMb, sessions),
            with_recycling: slopeKb(withRecycling.privateMb, sessions),
          },
        ]),
      ),
      main_private_mb: { without_recycling: without.mainMb, with_recycling: withRecycling.mainMb },
      private_mb: { without_recycling: without.privateMb, with_recycling: withRecycling.privateMb },
      failures: [...without.failures, ...withRecycling.failures].slice(0, 20),
    },
  };
}

async function play(
  context: Context,
  model: CachedModel,
  settings: Readonly<Record<string, string | number>>,
  title: string,
): Promise<Series> {
  const server = await startServer(context, { models: [model], settings });
  const tally = new Tally();
  const texts = new Texts(8);
  const count = sizeOf(context, WARM_UP) + sizeOf(context, SESSIONS);
  const privateMb: number[] = [];
  const mainMb: number[] = [];
  for (let number = 1; number <= count; number += 1) {
    context.progress.at(`${title}: session ${number} of ${count}`);
    privateMb.push(await oneSession(server.api, model.id, texts, tally));
    const { processes } = await server.api.memory();
    mainMb.push(processes.find(({ role }) => role === 'main')?.private_mb ?? Number.NaN);
  }
  const recycles = await server.api.metric('plimsoll_recycles_total');
  await server.stop();
  return { privateMb, mainMb, failures: tally.failures, recycles };
}

/** @returns private memory at its end, in MB */
async function oneSession(api: Api, model: string, texts: Texts, tally: Tally): Promise<number> {
  const session = await api.openSession();
  const play = async (user: string) => {
    for (let n = 0; n < REQUESTS_PER_USER; n += 1) {
      tally.take(await api.classify({ model, session, user, inputs: texts.next() }));
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, user) => play(`user-${user}`)));
  return (await api.endSession(session)).cleanup.after.private_mb;
}

interface Slope {
  readonly slope: number;
  readonly low: number;
  readonly high: number;
}

function slopeKb(series: readonly number[], warmUp: number): Slope {
  const points = series.slice(warmUp).map((mb, x) => ({ x, y: mb * 1024 }));
  const trend = theilSen(points);
  if (trend === null) return { slope: Number.NaN, low: Number.NaN, high: Number.NaN };
  const { slope, interval } = trend;
  return { slope: rounded(slope), low: rounded(interval.low), high: rounded(interval.high) };
}

function shown({ slope, low, high }: Slope): string {
  return `${slope.toFixed(3)} KB a session (95 %: ${low.toFixed(3)} … ${high.toFixed(3)})`;
}
