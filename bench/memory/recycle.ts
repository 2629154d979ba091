import type { Receipt } from '../../src/contract/receipts.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { rollingSessions, Tally } from '../harness/load.js';
import { syntheticModel } from '../harness/models.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { latencies, quantile, rounded, spread, summary } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';
import { splitByReceipts } from './recycle-spans.js';

const SECONDS = { full: 120, quick: 20 };
const WARM_UP_MS = 5000;
const USERS = 8;
const RECYCLE_AFTER_USERS = 50;
/** With 10 or 40 requests of each user the next recycle was due before the last one was over. */
const REQUESTS_PER_USER = 60;
const MOST_RATIO = 1.5;
/** A p99 of fewer requests says nothing. */
const ENOUGH = { full: 5000, quick: 20 };

export const recycle: Benchmark = {
  name: 'recycle',
  about: 'requests that fail while all workers are replaced every 50 users, under load',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const model = await syntheticModel('minilm', progress);
  const { api } = await startServer(context, {
    models: [model],
    settings: { ...UNCACHED, 'recycle.after_users': RECYCLE_AFTER_USERS },
  });
  const texts = new Texts(5);
  const tally = new Tally();
  const seconds = sizeOf(context, SECONDS);
  const begun = Date.now();
  const until = begun + WARM_UP_MS + seconds * 1000;
  const sessions = await rollingSessions(api, {
    users: USERS,
    requestsPerUser: REQUESTS_PER_USER,
    goOn: () => Date.now() < until,
    send: async (session, user) => {
      progress.at(`${tally.replies.length} answers, ${tally.failures.length} failures`);
      return tally.take(
        await api.classify({ model: model.id, session, user, inputs: texts.next() }),
      );
    },
  });
  const counted = tally.replies.filter(({ sentAtMs }) => sentAtMs >= begun + WARM_UP_MS);
  const receipts = await api.receipts('recycle', begun);
  return outcomeOf(context, { tally, counted, receipts, sessions });
}

interface Played {
  readonly tally: Tally;
  /** Replies after the warm-up. */
  readonly counted: Tally['replies'];
  readonly receipts: readonly Receipt[];
  readonly sessions: number;
}

function outcomeOf(context: Context, { tally, counted, receipts, sessions }: Played): Outcome {
  const { during, outside } = splitByReceipts(counted, receipts);
  const enough = sizeOf(context, ENOUGH);
  const [p99During, p99Outside] = [quantile(during, 0.99), quantile(outside, 0.99)];
  const sent = tally.replies.length + tally.failures.length;
  return {
    headline: `${tally.failures.length} of ${sent.toLocaleString('en-US')}; p99 ${p99During.toFixed(0)} ms during recycles, ${p99Outside.toFixed(0)} ms outside`,
    checks: [
      exactly('failed requests', tally.failures.length, 0),
      atMost('p99 during recycles ÷ p99 outside', rounded(p99During / p99Outside), MOST_RATIO),
      atLeast('requests during recycles', during.length, enough),
      atLeast('requests outside', outside.length, enough),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'during recycles', value: latencies(during) },
      { fact: 'outside', value: latencies(outside) },
      {
        fact: 'recycles',
        value: spread(
          receipts.map((of) => of.duration_ms),
          ' ms',
          0,
        ),
      },
      { fact: 'sessions', value: String(sessions) },
    ],
    details: {
      definition:
        `minilm; ${USERS} users in closed loop, ${REQUESTS_PER_USER} requests of each user; ${sizeOf(context, SECONDS)} s after ${WARM_UP_MS / 1000} s of warm-up; ` +
        'a request counts as during a recycle when it overlaps started_at … started_at + duration of a recycle receipt',
      failures: tally.firstFailures,
      recycles: receipts.map(({ cause, duration_ms: ms, actions }) => ({ cause, ms, actions })),
      during_ms: summary(during),
      outside_ms: summary(outside),
    },
  };
}
