import { mean } from '../../src/proof/statistics.js';
import { type Api, privateMb } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { pause, Tally } from '../harness/load.js';
import { syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

const SESSIONS = { full: 200, quick: 20 };
/** Sessions before the count: the first ones warm up the compiler's and the allocator's stores. */
const WARM_UP = 10;
const EDGE = 20;
const BACK_WITHIN_MS = 1000;
const MODELS = 3;
/** Words of one text: a mail of ordinary length, about 150 tokens. */
const WORDS = 120;
const SAMPLED_EVERY_MS = 40;

/** What a session takes is back a second after its end, and 200 of them leave nothing behind. */
export const returned: Benchmark = {
  name: 'return',
  about: 'sessions that use three bert-base models, 200 in a row: their memory comes back',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const models = await syntheticModels('bert-base', MODELS, progress);
  // Recycling as by default; what grows where there is none is `drift`'s to tell.
  const settings = { 'cache.max_size': 0 };
  const { api } = await startServer(context, { models, settings });
  const tally = new Tally();
  const texts = new Texts(2);
  const count = quick ? SESSIONS.quick : SESSIONS.full;
  const sessions: Sample[] = [];
  for (let number = -WARM_UP; number < count; number += 1) {
    progress.at(`session ${number + 1} of ${count}`);
    const sample = await oneSession(
      api,
      models.map(({ id }) => id),
      texts,
      tally,
    );
    if (number >= 0) sessions.push(sample);
  }
  const residues = sessions.map(({ residueMb }) => residueMb.all);
  const shares = sessions.map(
    ({ beforeMb, peakMb, residueMb }) => (100 * (peakMb - residueMb.all)) / (peakMb - beforeMb.all),
  );
  const taken = sessions.map(({ peakMb, beforeMb }) => peakMb - beforeMb.all);
  const left = sessions.map(({ residueMb, beforeMb }) => ({
    main: residueMb.main - beforeMb.main,
    workers: residueMb.all - residueMb.main - (beforeMb.all - beforeMb.main),
  }));
  const edge = Math.min(EDGE, Math.floor(count / 2));
  const growth = mean(residues.slice(-edge)) / mean(residues.slice(0, edge)) - 1;
  return {
    checks: [
      atLeast(
        'median share of a session’s private memory back after 1 s, %',
        rounded(median(shares)),
        99,
      ),
      atMost('mean of the last 20 residues above the first 20, %', rounded(100 * growth), 1),
      exactly('failed requests', tally.failures.length, 0),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'share back, %', value: spread(shares) },
      { fact: 'worst share back, %', value: Math.min(...shares).toFixed(2) },
      { fact: 'taken by a session', value: spread(taken, ' MB') },
      {
        fact: 'of it still held just before the end',
        value: spread(
          sessions.map(({ usedMb, beforeMb }) => usedMb.all - beforeMb.all),
          ' MB',
        ),
      },
      {
        fact: 'left in the workers',
        value: spread(
          left.map(({ workers }) => workers),
          ' MB',
          3,
        ),
      },
      {
        fact: 'left in the main process',
        value: spread(
          left.map(({ main }) => main),
          ' MB',
          3,
        ),
      },
      {
        fact: 'share of all taken by all sessions, %',
        value: wholeShare(taken, residues).toFixed(2),
      },
      { fact: 'private at rest, all processes', value: spread(residues, ' MB') },
      {
        fact: 'cleanup',
        value: spread(
          sessions.map((of) => of.cleanupMs),
          ' ms',
          0,
        ),
      },
      { fact: 'recycles meanwhile', value: String(await api.metric('plimsoll_recycles_total')) },
    ],
    details: {
      definition:
        'share = (peak − residue) ÷ (peak − before), of the private bytes of all processes: before opening, ' +
        `the most at any of the readings every ${SAMPLED_EVERY_MS} ms while it ran, and 1 s after the end; ` +
        `${WARM_UP} sessions before the first that counts; two users a session, so that workers are recycled every 25`,
      failures: tally.failures.slice(0, 20),
      sessions,
    },
  };
}

interface Held {
  readonly all: number;
  readonly main: number;
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
  // Two users at once, so that every worker comes to work with the models.
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
  await Promise.all([play('one'), play('two')]);
  isOver = true;
  const usedMb = await held(api);
  const peakMb = Math.max(await sampling, usedMb.all);
  const { cleanup } = await api.endSession(session);
  await pause(BACK_WITHIN_MS);
  const residueMb = await held(api);
  return { beforeMb, peakMb, usedMb, residueMb, cleanupMs: cleanup.duration_ms };
}

/** What all sessions together left, of all that they took, in percent. */
function wholeShare(taken: readonly number[], residues: readonly number[]): number {
  const sum = taken.reduce((total, megabytes) => total + megabytes, 0);
  const left = (residues.at(-1) ?? Number.NaN) - (residues[0] ?? Number.NaN);
  return 100 * (1 - left / sum);
}
