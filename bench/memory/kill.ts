import { readFile } from 'node:fs/promises';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import {
  atRest,
  type Expected,
  expectedAnswers,
  KnownAnswers,
  SCORE_TOLERANCE,
} from '../harness/known-answers.js';
import { pause } from '../harness/load.js';
import { syntheticModel } from '../harness/models.js';
import { type ServerUnderTest, startServer, UNCACHED } from '../harness/server.js';
import { latencies, rounded, spread } from '../harness/spread.js';

const SECONDS = { full: 60, quick: 12 };
const WARM_UP_SECONDS = { full: 15, quick: 5 };
const KILL_EVERY_MS = 2000;
const USERS = 8;
const REQUESTS_PER_USER = 6;
const RECYCLE_AFTER_USERS = 20;
/** Memory at rest afterwards against before; two readings of the same state differ by some pages. */
const MOST_REST = 1.05;

export const kill: Benchmark = {
  name: 'kill',
  about: 'requests that fail or are answered wrongly while workers are killed (kill -9) every 2 s',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const model = await syntheticModel('minilm', progress);
  const server = await startServer(context, {
    models: [model],
    settings: { ...UNCACHED, 'recycle.after_users': RECYCLE_AFTER_USERS },
  });
  const { api } = server;
  const expected = await expectedAnswers(api, model.id);
  const play = new KnownAnswers(api, {
    ...{ model: model.id, expected },
    ...{ users: USERS, requestsPerUser: REQUESTS_PER_USER },
  });
  await play.run(sizeOf(context, WARM_UP_SECONDS));
  const restBefore = await atRest(api);
  const seconds = sizeOf(context, SECONDS);
  let over = false;
  const killing = killWorkers(
    server,
    () => over,
    (line) => progress.at(line),
  );
  killing.catch(() => undefined);
  await play.run(seconds);
  over = true;
  const kills = await killing;
  const restAfter = await atRest(api);
  const recycles = (await api.receipts('recycle')).length;
  const restarts = await api.metric('plimsoll_worker_restarts_total');
  const retried = await api.metric('plimsoll_batches_retried_total');
  const ended = server.ended();
  return outcomeOf({
    ...{ play, expected, seconds, kills, recycles, restarts, retried, ended },
    restMb: [restBefore, restAfter],
  });
}

interface Played {
  readonly play: KnownAnswers;
  readonly expected: readonly Expected[];
  readonly seconds: number;
  readonly kills: number;
  readonly recycles: number;
  readonly restarts: number;
  readonly retried: number;
  /** How the server itself ended, if it did. */
  readonly ended: string | undefined;
  /** Private memory at rest before and after. */
  readonly restMb: readonly [number, number];
}

function outcomeOf(played: Played): Outcome {
  const { play, expected, seconds, kills, recycles, restarts, retried, ended } = played;
  const [restBefore, restAfter] = played.restMb;
  const sent = play.tally.replies.length + play.tally.failures.length;
  return {
    headline: `${play.tally.failures.length} failed and ${play.wrong.length} wrong of ${sent.toLocaleString('en-US')}; ${kills} workers killed, ${recycles} recycles`,
    checks: [
      exactly('failed requests', play.tally.failures.length, 0),
      exactly('wrong answers', play.wrong.length, 0),
      atMost('private memory at rest, after ÷ before', rounded(restAfter / restBefore), MOST_REST),
      atLeast('workers killed', kills, Math.floor(seconds / 2) - 2),
      atLeast('recycles meanwhile', recycles, 1),
    ],
    facts: [
      ...play.tally.failureFacts,
      { fact: 'answers', value: latencies(play.tally.replies.map(({ ms }) => ms)) },
      { fact: 'largest difference of a score', value: play.largestDifference.toExponential(1) },
      {
        fact: 'margin between the labels',
        value: spread(
          expected.map((of) => 2 * of.score - 1),
          '',
          3,
        ),
      },
      {
        fact: 'restarts, batches retried, recycles',
        value: `${restarts}, ${retried}, ${recycles}`,
      },
      {
        fact: 'private memory at rest before, after',
        value: `${restBefore.toFixed(1)}, ${restAfter.toFixed(1)} MB`,
      },
      { fact: 'the server itself', value: ended ?? 'still running' },
    ],
    details: {
      definition:
        `minilm; ${USERS} users in fresh sessions, a recycle every ${RECYCLE_AFTER_USERS} users, SIGKILL to a random worker ` +
        `every ${KILL_EVERY_MS / 1000} s; each answer compared with that before the first kill: the label, and the score to ${SCORE_TOLERANCE}`,
      failures: play.tally.firstFailures,
      wrong: play.wrong.slice(0, 20),
    },
  };
}

/** @returns how many were killed */
async function killWorkers(
  { api, pid }: ServerUnderTest,
  isOver: () => boolean,
  tell: (line: string) => void,
): Promise<number> {
  let kills = 0;
  while (!isOver()) {
    const workers = (await api.memory()).processes.filter(({ role }) => role === 'worker');
    const chosen = workers[Math.floor(Math.random() * workers.length)];
    // The system reuses ids: only a child of our own server is killed.
    if (chosen !== undefined && (await parentOf(chosen.pid)) === pid) {
      process.kill(chosen.pid, 'SIGKILL');
      kills += 1;
      tell(`${kills} workers killed`);
    }
    await pause(KILL_EVERY_MS);
  }
  return kills;
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? Number.NaN);
}
