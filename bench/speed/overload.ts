import { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import type { Reply } from '../harness/http-client.js';
import { pause } from '../harness/load.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded } from '../harness/spread.js';
import { closedUsers } from './closed-users.js';
import { cpuMs, ownCpuMs } from './cpu-time.js';
import { bundledModel, distinctMails, realMails } from './mails.js';
import { percentile } from './percentile.js';

const TIMES_CAPACITY = 3;
const LEAST_GOODPUT = 0.9;
const MOST_REFUSAL_MS = 100;
const BACK_WITHIN_MS = 2000;
const USERS = 32;
/** What is not answered by then is of no use: the queue is never longer than this. */
const DEADLINE_MS = 1500;
const FULL = { capacityMs: 10_000, overloadMs: 30_000 };
const QUICK = { capacityMs: 4000, overloadMs: 5000 };
const STEP_MS = 10;
const SOCKETS = 4000;

/** Under three times its capacity the server works on, and tells the others at once. */
export const overload: Benchmark = {
  name: 'overload',
  about: 'open loop at 3 × capacity: goodput, refusals, memory, and the way back',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { capacityMs, overloadMs } = context.quick ? QUICK : FULL;
  const settings = {
    'cache.max_size': 0,
    'session.max_users': 10_000,
    'http.max_connections': SOCKETS,
    'request.deadline_ms': DEADLINE_MS,
  };
  const server = await startServer(context, { models: [bundledModel], settings });
  // An open loop must never wait for a free connection of its own.
  const api = new Api(server.url, SOCKETS);
  context.defer(async () => api.close());
  await api.load(bundledModel.id);
  const nextText = distinctMails(realMails());
  const users = (count: number, ms: number) =>
    closedUsers(api, count, ms, () => bundledModel.id, nextText);
  context.progress.at('capacity');
  await users(USERS, capacityMs / 2);
  const cores = coresTaken(server.pid);
  const capacity = (await users(USERS, capacityMs)).itemsPerSecond;
  const atCapacity = cores();
  const calm = (await users(1, capacityMs / 2)).ms;
  context.progress.at('overload');
  const sent: Promise<Reply>[] = [];
  const ofLine: number[] = [];
  const coresInOverload = coresTaken(server.pid);
  const begun = performance.now();
  let watchedAt = begun;
  for (let now = begun; now - begun < overloadMs; now = performance.now()) {
    const due = ((now - begun) / 1000) * capacity * TIMES_CAPACITY;
    while (sent.length < due) {
      const user = `user-${sent.length % 1000}`;
      sent.push(api.classify({ model: bundledModel.id, inputs: nextText(), user }));
    }
    if (now - watchedAt > 2000) {
      watchedAt = now;
      void api.memory().then((memory) => {
        ofLine.push(memory.server_used_mb / memory.load_line_mb);
      });
    }
    await pause(STEP_MS);
  }
  const seconds = (performance.now() - begun) / 1000;
  const inOverload = coresInOverload();
  await pause(BACK_WITHIN_MS);
  context.progress.at('after');
  const after = await users(1, capacityMs / 2);
  const replies = await Promise.all(sent);
  await server.stop();
  const good = replies.filter(({ status }) => status === 200);
  const refused = replies.filter(({ status }) => status === 503 || status === 429);
  const refusalMs = refused.map(({ ms }) => ms);
  const others = replies.length - good.length - refused.length;
  return {
    checks: [
      atLeast('goodput ÷ capacity', rounded(good.length / seconds / capacity), LEAST_GOODPUT),
      atMost('p99 of the refusals, ms', rounded(percentile(refusalMs, 0.99), 1), MOST_REFUSAL_MS),
      exactly('neither answered nor refused', others, 0),
      exactly(
        'refusals without Retry-After',
        refused.filter((of) => of.retryAfter === undefined).length,
        0,
      ),
      atMost('most memory ÷ load line', rounded(percentile(ofLine, 1)), 1),
      atMost('p50 2 s later ÷ before', rounded(median(after.ms) / median(calm)), 1.5),
    ],
    facts: [
      { fact: 'capacity', value: `${capacity.toFixed(1)} items/s` },
      {
        fact: 'sent',
        value: `${replies.length} in ${seconds.toFixed(1)} s, ${good.length} answered`,
      },
      { fact: 'answers', value: latencies(good.map(({ ms }) => ms)) },
      { fact: 'refusals', value: latencies(refusalMs) },
      // What these take is missing to the workers: client and server share the machine.
      {
        fact: 'cores of client and main process',
        value: `${atCapacity}; in overload ${inOverload}`,
      },
      ...after.tally.failureFacts,
    ],
    details: { deadline_ms: DEADLINE_MS, statuses: countBy(replies) },
  };
}

/** Cores that the client and the server's main process take from now until it is called. */
function coresTaken(pid: number): () => string {
  const [clientMs, mainMs, sinceMs] = [ownCpuMs(), cpuMs(pid), performance.now()];
  return () => {
    const ms = performance.now() - sinceMs;
    const [client, main] = [(ownCpuMs() - clientMs) / ms, (cpuMs(pid) - mainMs) / ms];
    return `${client.toFixed(2)} and ${main.toFixed(2)}`;
  };
}

function countBy(replies: readonly Reply[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
