import { quantile } from '../../src/proof/statistics.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { rollingSessions, Tally } from '../harness/load.js';
import { syntheticModels } from '../harness/models.js';
import { splitByReceipts } from '../harness/recycles.js';
import { startServer } from '../harness/server.js';
import { latencies, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

const SECONDS = { full: 120, quick: 20 };
const WARM_UP_MS = 5000;
const USERS = 8;
/** New workers start where others leave time. With 10 requests each (or 40, on a server that answers faster), the next 50 users came before the recycle was over. */
const REQUESTS_PER_USER = 60;
/** A p99 of fewer requests than this says nothing. */
const ENOUGH = { full: 5000, quick: 20 };

/** A recycle every 50 users, under load: nobody fails, and hardly anybody waits for it. */
export const recycle: Benchmark = {
  name: 'recycle',
  about: '8 users in closed loop, all workers replaced every 50 users: nobody fails or waits',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('minilm', 1, progress);
  if (model === undefined) throw new Error('no model');
  const { api } = await startServer(context, {
    models: [model],
    settings: { 'cache.max_size': 0, 'recycle.after_users': 50 },
  });
  const texts = new Texts(5);
  const tally = new Tally();
  const seconds = quick ? SECONDS.quick : SECONDS.full;
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
  const { during, outside } = splitByReceipts(counted, receipts);
  const enough = quick ? ENOUGH.quick : ENOUGH.full;
  const ratio = quantile(during, 0.99) / quantile(outside, 0.99);
  return {
    checks: [
      exactly('failed requests', tally.failures.length, 0),
      atMost('p99 during recycles ÷ p99 outside', rounded(ratio), 1.5),
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
        `minilm; ${REQUESTS_PER_USER} requests of each user; ${seconds} s after ${WARM_UP_MS / 1000} s of warm-up; a request counts as during a recycle when ` +
        'it overlaps started_at … started_at + duration of a recycle receipt',
      failures: tally.failures.slice(0, 20),
      recycles: receipts.map(({ cause, duration_ms: ms, actions }) => ({ cause, ms, actions })),
      during_ms: during.map((ms) => rounded(ms, 1)),
    },
  };
}
