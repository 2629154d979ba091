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
/** All cases, each with and without the gate, take about thirteen minutes. The load lasts longer than the deadline, so that ends are seen. */
const SIZES = { full: { warmUpMs: 24_000, ms: 50_000 }, quick: { warmUpMs: 3000, ms: 6000 } };
/**
 * The first users come alone, for a third of the warm-up. A server that has answered nothing yet lets everybody in, and what
 * it takes for its first deadline is the end of those.
 */
const FIRST_USERS = 8;

interface Case {
  readonly name: string;
  readonly users: number;
  readonly hogs: number;
  readonly deadlineMs: number;
}

const CASES: readonly Case[] = [
  { name: '8 users', users: 8, hogs: 0, deadlineMs: DEADLINE_MS },
  { name: '32 users beside a CPU hog', users: 32, hogs: 1, deadlineMs: DEADLINE_MS },
  { name: '128 users', users: 128, hogs: 0, deadlineMs: DEADLINE_MS },
  { name: '128 users beside a CPU hog', users: 128, hogs: 1, deadlineMs: DEADLINE_MS },
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
  /** Refusals that were right, of those that can be judged; 1 if none can. */
  readonly right: number;
  readonly refused: number;
  readonly refusedAndJudged: number;
  /** Of those: what was expected ÷ what it would have taken. */
  readonly expectedParts: readonly number[];
  /** Accepted requests that were late or given up, of all that were accepted. */
  readonly late: number;
  readonly givenUp: number;
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
      atMost('accepted that were late or given up', rounded(Math.max(...lates)), MOST_LATE),
      atLeast('goodput ÷ without a gate', rounded(Math.min(...ratios)), LEAST_GOODPUT),
    ],
    facts: judged.map((of) => ({ fact: of.case.name, value: wordsOf(of) })),
    details: {
      definition:
        'a refused request would have ended after all that were accepted before it and had not ended, plus the mean time ' +
        'of one answer: it was refused rightly if that is after its deadline, and is not judged if some of those had not ended with the load; ' +
        'accepted: every request that was not refused on arrival; late: without an answer, or with one after the deadline',
      cases: judged.map(({ tookMs: _, expectedParts: __, ...rest }) => rest),
    },
  };
}

interface Played {
  /** Replies to requests that were sent after the warm-up and ended with the load. */
  readonly replies: readonly Reply[];
  /** All requests of the load, those of the warm-up too. */
  readonly all: readonly Sent[];
  readonly seconds: number;
}

/** Times as in {@link Reply}. */
interface Sent {
  readonly sentAtMs: number;
  /** Infinite if it had not ended with the load. */
  endAtMs: number;
  wasAccepted: boolean;
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
  const all: Sent[] = [];
  const begun = performance.now();
  const lasts = () => performance.now() - begun < warmUpMs + ms;
  const loops = Array.from({ length: users }, async (_, user) => {
    if (user >= FIRST_USERS) await pause(warmUpMs / 3);
    while (lasts()) {
      const sentMs = performance.now() - begun;
      const body = { model: model.id, inputs: nextText(), user: `user-${user}` };
      const sent: Sent = { sentAtMs: Date.now(), endAtMs: Infinity, wasAccepted: true };
      all.push(sent);
      const reply = await server.api.classify(body);
      // What ends after the load had an emptier queue.
      if (!lasts()) return;
      sent.endAtMs = reply.sentAtMs + reply.ms;
      sent.wasAccepted = !isRefusal(reply);
      if (sentMs >= warmUpMs) replies.push(reply);
      if (reply.status !== 200) await pause(1000 * Math.max(1, Number(reply.retryAfter ?? 1)));
    }
  });
  // Users who wait for an answer that nobody counts end with the server.
  while (lasts()) await pause(100);
  await server.stop();
  await Promise.all(loops);
  for (const { process: hog } of neighbours) hog.kill('SIGKILL');
  return { replies, all, seconds: ms / 1000 };
}

function judge(of: Case, played: Played, without: Played): Judged {
  const isGood = ({ status, ms }: Reply) => status === 200 && ms <= of.deadlineMs;
  const refusals = played.replies.filter(isRefusal);
  const accepted = played.replies.filter((reply) => !isRefusal(reply));
  const good = accepted.filter(isGood);
  const oneAnswerMs = (played.seconds * 1000) / Math.max(1, good.length);
  const judged = refusals.flatMap((refusal) => {
    const tookMs = wouldHaveTakenMs(refusal, played.all) + oneAnswerMs;
    return Number.isFinite(tookMs) ? [{ tookMs, expectedMs: expectedMsOf(refusal) }] : [];
  });
  const right = judged.filter(({ tookMs }) => tookMs > of.deadlineMs);
  const goodput = (from: Played) => from.replies.filter(isGood).length / from.seconds;
  return {
    case: of,
    right: judged.length === 0 ? 1 : right.length / judged.length,
    refused: refusals.length,
    refusedAndJudged: judged.length,
    expectedParts: judged.map(({ expectedMs, tookMs }) => expectedMs / tookMs),
    late: (accepted.length - good.length) / Math.max(1, accepted.length),
    givenUp: accepted.filter(({ status }) => status === 503).length,
    goodput: goodput(played),
    goodputWithout: goodput(without),
    tookMs: accepted.map(({ ms }) => ms),
  };
}

/** Users are served in turn, one request each: all that had been accepted come first. */
function wouldHaveTakenMs({ sentAtMs }: Reply, all: readonly Sent[]): number {
  const before = all.filter(
    (other) => other.wasAccepted && other.sentAtMs <= sentAtMs && other.endAtMs > sentAtMs,
  );
  return before.reduce((last, { endAtMs }) => Math.max(last, endAtMs - sentAtMs), 0);
}

/** Refused on arrival. What is given up later, when its turn comes, had been accepted, and has another reason. */
function isRefusal(reply: Reply): boolean {
  return reply.status === 503 && !/answer would come after/.test(reasonOf(reply));
}

/** What the refusal says of the time until the answer, in ms; not a number if it has another reason. */
function expectedMsOf(reply: Reply): number {
  return Number(/expected after (\d+) ms/.exec(reasonOf(reply))?.[1]);
}

function reasonOf({ body }: Reply): string {
  return JSON.stringify(body ?? '');
}

function wordsOf(of: Judged): string {
  const { tookMs, refused, refusedAndJudged, right, expectedParts, late, givenUp } = of;
  const against =
    refusedAndJudged === 0
      ? ''
      : `, ${percent(right)} of ${refusedAndJudged} rightly (expected ${median(expectedParts).toFixed(2)} × what it would have taken)`;
  const refusals = refused === 0 ? 'none refused' : `${refused} refused${against}`;
  const answers = `${of.goodput.toFixed(1)}/s against ${of.goodputWithout.toFixed(1)}/s without a gate`;
  return `${latencies(tookMs)}; ${refusals}; ${percent(late)} late, of them ${givenUp} given up; ${answers}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
