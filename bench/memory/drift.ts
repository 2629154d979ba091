import { theilSen } from '../../src/proof/judge/trend.js';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { Tally } from '../harness/load.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

/** Sessions that are counted. */
const SESSIONS = { full: 1000, quick: 50 };
const USERS = 8;
const REQUESTS_PER_USER = 2;
/** Sessions before them: stores with a limit fill up (the server remembers the last 64 sessions). */
const WARM_UP = { full: 300, quick: 10 };
const BOUND_KB = 1;
const NEVER = 1_000_000_000;

/** A thousand sessions leave nothing behind. */
export const drift: Benchmark = {
  name: 'drift',
  about: 'private bytes of all processes at the end of each of 1,000 sessions of 8 users: no trend',
  run,
};

interface Series {
  readonly privateMb: readonly number[];
  /** Of it, what the main process held just after. */
  readonly mainMb: readonly number[];
  readonly failures: readonly string[];
  readonly recycles: number;
}

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('minilm', 1, progress);
  if (model === undefined) throw new Error('no model');
  const without = await play(context, model, NEVER, 'without recycling');
  const withRecycling = await play(context, model, 50, 'recycling every 50 users');
  const warmUp = quick ? WARM_UP.quick : WARM_UP.full;
  const hard = slopeKb(without.privateMb, warmUp);
  const usual = slopeKb(withRecycling.privateMb, warmUp);
  return {
    checks: [
      atMost('upper 95 % bound of the slope, KB a session, no recycling', hard.high, BOUND_KB),
      atMost('upper 95 % bound of the slope, KB a session, as by default', usual.high, BOUND_KB),
      exactly('failed requests', without.failures.length + withRecycling.failures.length, 0),
    ],
    facts: [
      { fact: 'slope without recycling', value: shown(hard) },
      { fact: 'slope with recycling every 50 users', value: shown(usual) },
      {
        fact: 'of it in the main process',
        value: [without, withRecycling]
          .map(({ mainMb }) => slopeKb(mainMb, warmUp).slope.toFixed(3))
          .join(' and '),
      },
      {
        fact: 'private at session end without',
        value: spread(without.privateMb.slice(warmUp), ' MB'),
      },
      {
        fact: 'private at session end with',
        value: spread(withRecycling.privateMb.slice(warmUp), ' MB'),
      },
      { fact: 'recycles', value: `${without.recycles} and ${withRecycling.recycles}` },
    ],
    details: {
      definition:
        'Theil–Sen slope of receipt.after.private_mb over the sessions; the run without any recycling is the ' +
        'harder one, because nothing that a worker keeps is ever thrown away with it; ' +
        `minilm, no result cache in that run, ${REQUESTS_PER_USER} requests of each user; ${warmUp} sessions of warm-up come before and are not counted, ` +
        'in which stores with a limit fill (64 remembered sessions, the compiler’s code)',
      slope_kb: { without_recycling: hard, with_recycling: usual },
      // Where the warm-up is taken to end decides much: the reader may choose another end.
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
  afterUsers: number,
  title: string,
): Promise<Series> {
  // Without recycling nothing clears the result cache: its filling up to its limit is no leak.
  const never = { 'recycle.after_growth': '1T', 'cache.max_size': 0 };
  const server = await startServer(context, {
    models: [model],
    settings: { 'recycle.after_users': afterUsers, ...(afterUsers === NEVER ? never : {}) },
  });
  const tally = new Tally();
  const texts = new Texts(8);
  const of = context.quick ? 'quick' : 'full';
  const count = WARM_UP[of] + SESSIONS[of];
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
