import { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import type { Reply } from '../harness/http-client.js';
import { pause, type Tally } from '../harness/load.js';
import { cpuMs, ownCpuMs } from '../harness/machine/cpu-time.js';
import { bundledModel } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, quantile, rounded } from '../harness/spread.js';
import { closedUsers, measuredUsers } from '../harness/users/closed-users.js';
import { distinctMails, realMails } from '../harness/users/mails.js';

const TIMES_CAPACITY = 3;
const LEAST_GOODPUT = 0.9;
const MOST_REFUSAL_MS = 100;
const MOST_AFTER_RATIO = 1.5;
const BACK_WITHIN_MS = 2000;
const USERS = 32;
/** Later answers are of no use: it bounds the queue. */
const DEADLINE_MS = 1500;
const SIZES = {
  full: { capacityMs: 10_000, overloadMs: 30_000 },
  quick: { capacityMs: 4000, overloadMs: 5000 },
};
const STEP_MS = 10;
const MEMORY_EVERY_MS = 2000;
const SOCKETS = 4000;

export const overload: Benchmark = {
  name: 'overload',
  about: `answers and refusals at ${TIMES_CAPACITY} times as many requests as the server can answer`,
  run,
};

interface Played {
  readonly capacity: number;
  readonly seconds: number;
  readonly replies: readonly Reply[];
  /** Memory in use as a part of the load line, now and then during the overload. */
  readonly ofLine: readonly number[];
  /** Latencies of a lone user before the overload and 2 s after it, in ms. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly afterTally: Tally;
  /** Cores of client and main process, at capacity and in the overload. */
  readonly cores: readonly [string, string];
}

async function run(context: Context): Promise<Outcome> {
  const { capacityMs, overloadMs } = sizeOf(context, SIZES);
  const settings = {
    ...UNCACHED,
    ...ROOMY_SESSIONS,
    'http.max_connections': SOCKETS,
    'request.deadline_ms': DEADLINE_MS,
  };
  const server = await startServer(context, { models: [bundledModel], settings });
  // Requests of an open loop must never wait for a free connection in the client.
  const api = new Api(server.url, SOCKETS);
  context.defer(async () => api.close());
  await api.load(bundledModel.id);
  const nextText = distinctMails(realMails());
  const common = { modelOf: () => bundledModel.id, nextText };
  context.progress.at('capacity');
  await closedUsers(api, { ...common, users: USERS, ms: capacityMs / 2 });
  const coresAtCapacity = coresTaken(server.pid);
  const run = await measuredUsers(api, { ...common, users: USERS, ms: capacityMs });
  const capacity = run.itemsPerSecond;
  const calm = coresAtCapacity();
  const lone = { ...common, users: 1, ms: capacityMs / 2 };
  const before = (await closedUsers(api, lone)).ms;
  context.progress.at(`overload: ${(TIMES_CAPACITY * capacity).toFixed(0)} requests/s`);
  const coresInOverload = coresTaken(server.pid);
  const flood = await openLoop(api, TIMES_CAPACITY * capacity, overloadMs, nextText);
  const inOverload = coresInOverload();
  await pause(BACK_WITHIN_MS);
  context.progress.at('after');
  const { ms: after, tally: afterTally } = await closedUsers(api, lone);
  const replies = await Promise.all(flood.sent);
  await server.stop();
  const { seconds, ofLine } = flood;
  const cores = [calm, inOverload] as const;
  return outcomeOf({ capacity, seconds, replies, ofLine, before, after, afterTally, cores });
}

/** Requests at a rate, whether the ones before were answered or not. */
async function openLoop(api: Api, perSecond: number, ms: number, nextText: () => string) {
  const sent: Promise<Reply>[] = [];
  const ofLine: number[] = [];
  const begun = performance.now();
  let readAt = begun;
  for (let now = begun; now - begun < ms; now = performance.now()) {
    const due = ((now - begun) / 1000) * perSecond;
    while (sent.length < due) {
      const user = `user-${sent.length % 1000}`;
      sent.push(api.classify({ model: bundledModel.id, inputs: nextText(), user }));
    }
    if (now - readAt > MEMORY_EVERY_MS) {
      readAt = now;
      void api.memory().then((memory) => {
        ofLine.push(memory.server_used_mb / memory.load_line_mb);
      });
    }
    await pause(STEP_MS);
  }
  return { sent, ofLine, seconds: (performance.now() - begun) / 1000 };
}

function outcomeOf(played: Played): Outcome {
  const { capacity, seconds, replies, ofLine, before, after, afterTally, cores } = played;
  const good = replies.filter(({ status }) => status === 200);
  const refused = replies.filter(({ status }) => status === 503 || status === 429);
  const refusalMs = refused.map(({ ms }) => ms);
  const others = replies.length - good.length - refused.length;
  const goodput = good.length / seconds / capacity;
  const p99 = quantile(refusalMs, 0.99);
  const withoutRetry = refused.filter((of) => of.retryAfter === undefined).length;
  const afterRatio = median(after) / median(before);
  return {
    headline: `${goodput.toFixed(2)} of the capacity is answered; p99 of a refusal ${p99.toFixed(0)} ms`,
    checks: [
      atLeast('goodput ÷ capacity', rounded(goodput), LEAST_GOODPUT),
      atMost('p99 of the refusals', rounded(p99, 1), MOST_REFUSAL_MS, 'ms'),
      exactly('neither answered nor refused', others, 0),
      exactly('refusals without Retry-After', withoutRetry, 0),
      atMost('most memory ÷ load line', rounded(quantile(ofLine, 1)), 1),
      atMost('p50 of a lone user 2 s later ÷ before', rounded(afterRatio), MOST_AFTER_RATIO),
    ],
    facts: [
      { fact: 'capacity', value: `${capacity.toFixed(1)} items/s` },
      {
        fact: 'sent',
        value: `${replies.length} in ${seconds.toFixed(1)} s, ${good.length} answered`,
      },
      { fact: 'answers', value: latencies(good.map(({ ms }) => ms)) },
      { fact: 'refusals', value: latencies(refusalMs) },
      // Client and server share the machine: the workers miss what these two take.
      { fact: 'cores of client and main process', value: `${cores[0]}; in overload ${cores[1]}` },
      ...afterTally.failureFacts,
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
