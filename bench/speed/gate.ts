import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import type { Reply } from '../harness/http-client.js';
import { pause } from '../harness/load.js';
import { type CachedModel, syntheticModel } from '../harness/models.js';
import { NO_RECYCLING, ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, range, rounded } from '../harness/spread.js';
import { distinctMails, realMails } from '../harness/users/mails.js';

const LEAST_RIGHT = 0.8;
const MOST_LATE = 0.01;
const LEAST_GOODPUT = 0.98;
/** The server's default. */
const DEADLINE_MS = 30_000;
/** Less than 128 users' answers take: here somebody has to be refused. */
const SHORT_DEADLINE_MS = 8000;
/** A server that never refuses: its deadline is far off, and the client counts what comes in time. */
const NO_GATE_MS = 3_600_000;
/** A refusal is held against the requests that were sent this much before or after it. */
const NEAR_MS = 10_000;
/** Its expectation was right if those took at least this part of the deadline: nobody can tell it closer. */
const EXPECTED_PART = 0.8;
const SIZES = { full: { warmUpMs: 20_000, ms: 90_000 }, quick: { warmUpMs: 2000, ms: 6000 } };

interface Case {
  readonly name: string;
  readonly users: number;
  readonly hogs: number;
  readonly deadlineMs: number;
}

const CASES: readonly Case[] = [
  ...[8, 32, 128].flatMap((users) =>
    [0, 1].map((hogs) => ({
      ...{ users, hogs, deadlineMs: DEADLINE_MS },
      name: `${users} users${hogs > 0 ? ' beside a CPU hog' : ''}`,
    })),
  ),
  { name: '128 users, 8 s', users: 128, hogs: 0, deadlineMs: SHORT_DEADLINE_MS },
];

export const gate: Benchmark = {
  name: 'gate',
  about:
    'requests that are refused because they would be late, and those that are late, with 8 to 128 users',
  run,
};

/** What became of a case. */
interface Judged {
  readonly case: Case;
  /** Refusals that were right, of all; 1 if nobody was refused. */
  readonly right: number;
  readonly refused: number;
  /** Accepted requests that were late, of all that were accepted. */
  readonly late: number;
  readonly goodput: number;
  readonly goodputWithout: number;
  readonly tookMs: readonly number[];
}

async function run(context: Context): Promise<Outcome> {
  const model = await syntheticModel('bert-base', context.progress);
  const judged: Judged[] = [];
  for (const each of CASES) {
    context.progress.at(`${each.name}, without a gate`);
    const without = await play(context, model, each, NO_GATE_MS);
    context.progress.at(`${each.name}, with the gate`);
    judged.push(judge(each, await play(context, model, each, each.deadlineMs), without));
  }
  const rights = judged.map(({ right }) => right);
  const lates = judged.map(({ late }) => late);
  const ratios = judged.map(({ goodput, goodputWithout }) => goodput / goodputWithout);
  const refused = judged.reduce((sum, of) => sum + of.refused, 0);
  return {
    headline: `goodput ${range(ratios, 2)} of a server without a gate; ${refused} refused`,
    checks: [
      atLeast('refused that would have been late', rounded(Math.min(...rights)), LEAST_RIGHT),
      atMost('accepted that were late', rounded(Math.max(...lates)), MOST_LATE),
      atLeast('goodput ÷ without a gate', rounded(Math.min(...ratios)), LEAST_GOODPUT),
    ],
    facts: judged.map((of) => ({ fact: of.case.name, value: wordsOf(of) })),
    details: { cases: judged.map(({ tookMs: _, ...rest }) => rest) },
  };
}

/** Replies to requests that were sent after the warm-up, and how long that lasted. */
interface Played {
  readonly replies: readonly Reply[];
  readonly seconds: number;
}

async function play(
  context: Context,
  model: CachedModel,
  { users, hogs }: Case,
  deadlineMs: number,
): Promise<Played> {
  const { warmUpMs, ms } = sizeOf(context, SIZES);
  const settings = {
    ...UNCACHED,
    ...ROOMY_SESSIONS,
    ...NO_RECYCLING,
    'request.deadline_ms': deadlineMs,
  };
  const server = await startServer(context, { models: [model], settings });
  await server.api.load(model.id);
  const neighbours = Array.from({ length: hogs }, () =>
    startChild(context, 'speed/cpu-hog-main', []),
  );
  for (const { next } of neighbours) await next();
  const nextText = distinctMails(realMails());
  const replies: Reply[] = [];
  const begun = performance.now();
  const lasts = () => performance.now() - begun < warmUpMs + ms;
  const loops = Array.from({ length: users }, async (_, user) => {
    while (lasts()) {
      const sentMs = performance.now() - begun;
      const body = { model: model.id, inputs: nextText(), user: `user-${user}` };
      const reply = await server.api.classify(body);
      // What ends after the load had an emptier queue.
      if (sentMs >= warmUpMs && lasts()) replies.push(reply);
      if (reply.status !== 200) await pause(1000 * Math.max(1, Number(reply.retryAfter ?? 1)));
    }
  });
  // Users who wait for an answer that nobody counts end with the server.
  while (lasts()) await pause(100);
  await server.stop();
  await Promise.all(loops);
  for (const { process: hog } of neighbours) hog.kill('SIGKILL');
  return { replies, seconds: ms / 1000 };
}

function judge(of: Case, played: Played, without: Played): Judged {
  const isGood = ({ status, ms }: Reply) => status === 200 && ms <= of.deadlineMs;
  const refusals = played.replies.filter(({ status }) => status === 503);
  const accepted = played.replies.filter(({ status }) => status === 200 || status === 504);
  const right = refusals.filter((refusal) => {
    const near = accepted.filter(
      ({ sentAtMs }) => Math.abs(sentAtMs - refusal.sentAtMs) <= NEAR_MS,
    );
    return median(near.map(({ ms }) => ms)) >= EXPECTED_PART * of.deadlineMs;
  });
  const goodput = (from: Played) => from.replies.filter(isGood).length / from.seconds;
  return {
    case: of,
    right: refusals.length === 0 ? 1 : right.length / refusals.length,
    refused: refusals.length,
    late: accepted.filter((reply) => !isGood(reply)).length / Math.max(1, accepted.length),
    goodput: goodput(played),
    goodputWithout: goodput(without),
    tookMs: accepted.map(({ ms }) => ms),
  };
}

function wordsOf({ tookMs, refused, right, late, goodput, goodputWithout }: Judged): string {
  const refusals = refused === 0 ? 'none refused' : `${refused} refused, ${percent(right)} rightly`;
  const answers = `${goodput.toFixed(1)}/s against ${goodputWithout.toFixed(1)}/s without a gate`;
  return `${latencies(tookMs)}; ${refusals}; ${percent(late)} late; ${answers}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
