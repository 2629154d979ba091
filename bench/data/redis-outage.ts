import { RedisServer } from '../../test/servers/redis.js';
import type { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { closedLoop, pause, Tally } from '../harness/load.js';
import { bundledModel } from '../harness/models.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { latencies, quantile, rounded } from '../harness/spread.js';
import { realMails } from '../harness/users/mails.js';

const MOST_P99_RATIO = 1.5;
const MOST_SECONDS_TO_HITS = 5;
/** Duration before, during and after the outage. */
const SECONDS = {
  full: { before: 10, away: 20, after: 10 },
  quick: { before: 3, away: 4, after: 6 },
};
const USERS = 8;
/** Few, so that each is sent again within a second and is found in Redis. */
const TEXTS = 60;
/** Time around its return that counts as part of the outage. */
const AROUND_MS = 1000;

export const redisOutage: Benchmark = {
  name: 'redis-outage',
  about: 'requests that fail while Redis is killed under load for 20 s, and their p99',
  run,
};

interface Answered {
  readonly atMs: number;
  readonly ms: number;
  readonly fromRedis: boolean;
}

async function run(context: Context): Promise<Outcome> {
  const { progress, defer } = context;
  const seconds = sizeOf(context, SECONDS);
  const store = await RedisServer.start(await serverProgramOf('redis'));
  defer(() => store.stop());
  // Without the memory tier every request asks Redis, or is computed.
  const models = [bundledModel];
  const without = await startServer(context, { models, settings: UNCACHED });
  const withRedis = await startServer(context, {
    models,
    settings: { ...UNCACHED, 'redis.url': store.url(), 'cache.secret': 'bench' },
  });
  for (const { api } of [without, withRedis]) await api.load(bundledModel.id);
  progress.say('the same load without Redis');
  const half = (seconds.away / 2) * 1000;
  const plain = new Users(without.api);
  await plain.during(() => pause(half));
  const users = new Users(withRedis.api);
  const moments = { killed: 0, back: 0 };
  progress.say(`Redis: ${seconds.before} s there, ${seconds.away} s away, ${seconds.after} s back`);
  await users.during(async () => {
    await pause(seconds.before * 1000);
    moments.killed = Date.now();
    await store.kill();
    await pause(seconds.away * 1000);
    await store.restart();
    moments.back = Date.now();
    await pause(seconds.after * 1000);
  });
  await plain.during(() => pause(half));
  return outcomeOf(plain, users, moments);
}

/** Users in a closed loop; each sends one text after another. */
class Users {
  readonly tally = new Tally();
  readonly answers: Answered[] = [];
  readonly #api: Api;
  readonly #mails = realMails().slice(0, TEXTS);
  #sent = 0;

  constructor(api: Api) {
    this.#api = api;
  }

  /** They send while this is true. */
  async during(work: () => Promise<void>): Promise<void> {
    let over = false;
    const load = closedLoop(
      USERS,
      () => !over,
      (user) => this.#send(user),
    );
    await work();
    over = true;
    await load;
  }

  async #send(user: number): Promise<boolean> {
    this.#sent += 1;
    const inputs = this.#mails[this.#sent % TEXTS] ?? '';
    const reply = await this.#api.classify({ model: bundledModel.id, inputs, user: `u${user}` });
    const ok = this.tally.take(reply);
    if (ok) {
      const { cached } = reply.body as { readonly cached: readonly unknown[] };
      const fromRedis = cached[0] === 'redis';
      this.answers.push({ atMs: reply.sentAtMs + reply.ms, ms: reply.ms, fromRedis });
    }
    return ok;
  }
}

function outcomeOf(
  plain: Users,
  users: Users,
  { killed, back }: { readonly killed: number; readonly back: number },
): Outcome {
  const before = users.answers.filter(({ atMs }) => atMs < killed);
  // Including the moments around the outage, which are the hard ones.
  const away = users.answers.filter(({ atMs }) => atMs >= killed && atMs < back + AROUND_MS);
  const after = users.answers.filter(({ atMs }) => atMs >= back);
  const firstHit = after.find(({ fromRedis }) => fromRedis);
  const toHits = firstHit === undefined ? Number.NaN : (firstHit.atMs - back) / 1000;
  const p99 = {
    plain: quantile(times(plain.answers), 0.99),
    away: quantile(times(away), 0.99),
  };
  const sent = users.tally.replies.length + users.tally.failures.length;
  return {
    headline: `${users.tally.failures.length} of ${sent.toLocaleString('en-US')}; p99 ${p99.away.toFixed(1)} ms, ${p99.plain.toFixed(1)} ms without Redis`,
    checks: [
      exactly('failed requests', users.tally.failures.length, 0),
      exactly('failed requests without Redis', plain.tally.failures.length, 0),
      atMost(
        'p99 while it is away ÷ p99 without Redis',
        rounded(p99.away / p99.plain),
        MOST_P99_RATIO,
      ),
      atMost('until hits came back', rounded(toHits), MOST_SECONDS_TO_HITS, 's'),
      atLeast('answers from Redis before', hits(before), TEXTS),
    ],
    facts: [
      { fact: 'without Redis', value: latencies(times(plain.answers)) },
      { fact: 'Redis there', value: latencies(times(before)) },
      { fact: 'Redis away', value: latencies(times(away)) },
      { fact: 'Redis back', value: latencies(times(after)) },
      { fact: 'answers from Redis: before, after', value: `${hits(before)}, ${hits(after)}` },
      ...users.tally.failureFacts,
    ],
    details: { users: USERS, texts: TEXTS, p99 },
  };
}

function times(answers: readonly Answered[]): readonly number[] {
  return answers.map(({ ms }) => ms);
}

function hits(answers: readonly Answered[]): number {
  return answers.filter(({ fromRedis }) => fromRedis).length;
}
