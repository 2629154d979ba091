import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import type { Reply } from '../harness/http-client.js';
import { pause, Tally } from '../harness/load.js';
import { bundledModel } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, quantile, rounded, spread } from '../harness/spread.js';
import { distinctMails, realMails } from '../harness/users/mails.js';

const MOST_RATIO = 3;
const SENDERS = 7;
const EVERY_MS = 200;
const FLOOD = 10_000;
/** The flood comes in requests of so many inputs, all at once. */
const PER_REQUEST = 1000;
const SIZES = { full: { rounds: 3, ms: 10_000 }, quick: { rounds: 1, ms: 4000 } };
const SETTINGS = {
  ...UNCACHED,
  ...ROOMY_SESSIONS,
  'queue.max_inputs': 2 * FLOOD,
  'queue.user_share': 100,
  'request.deadline_ms': 600_000,
};

export const fairness: Benchmark = {
  name: 'fairness',
  about: `latency of ${SENDERS} users while another one floods the server with 10,000 inputs, against theirs alone`,
  run,
};

/** Latencies of the users without a flood and with one, in ms. */
interface Round {
  readonly alone: readonly number[];
  readonly flooded: readonly number[];
  readonly floodSeconds: number;
}

async function run(context: Context): Promise<Outcome> {
  const { rounds: count } = sizeOf(context, SIZES);
  const [tally, flood] = [new Tally(), new Tally()];
  const rounds: Round[] = [];
  for (let round = 1; round <= count; round += 1) {
    context.progress.at(`round ${round} of ${count}`);
    rounds.push(await playRound(context, tally, flood));
  }
  const p95 = (values: readonly number[]) => quantile(values, 0.95);
  const ratios = rounds.map(({ alone, flooded }) => p95(flooded) / p95(alone));
  const [alone, flooded] = [rounds.flatMap((of) => of.alone), rounds.flatMap((of) => of.flooded)];
  return {
    headline: `p95 ${p95(flooded).toFixed(1)} ms against ${p95(alone).toFixed(1)} ms`,
    checks: [
      atMost('p95 with the flood ÷ p95 alone', rounded(median(ratios)), MOST_RATIO),
      exactly('requests of the flood that were refused', flood.failures.length, 0),
    ],
    facts: [
      { fact: 'ratio', value: spread(ratios) },
      { fact: 'alone', value: latencies(alone) },
      { fact: 'flooded', value: latencies(flooded) },
      {
        fact: 'the flood lasted',
        value: spread(
          rounds.map((of) => of.floodSeconds),
          ' s',
          1,
        ),
      },
      ...tally.failureFacts,
      ...flood.failureFacts,
    ],
    details: { ratios },
  };
}

/** With a server of its own: what a flood leaves behind must not meet the next round. */
async function playRound(context: Context, tally: Tally, flood: Tally): Promise<Round> {
  const { ms } = sizeOf(context, SIZES);
  const server = await startServer(context, { models: [bundledModel], settings: SETTINGS });
  await server.api.load(bundledModel.id);
  const nextText = distinctMails(realMails());
  await sendersPlay(server.api, during(ms / 2), nextText, tally);
  const alone = await sendersPlay(server.api, during(ms), nextText, tally);
  const replies: Reply[] = [];
  const requests = Array.from({ length: FLOOD / PER_REQUEST }, async () => {
    const inputs = Array.from({ length: PER_REQUEST }, nextText);
    replies.push(await server.api.classify({ model: bundledModel.id, inputs, user: 'flood' }));
  });
  await pause(EVERY_MS);
  const [inTime, begun] = [during(ms), performance.now()];
  const lasts = () => inTime() && replies.length < requests.length;
  const flooded = await sendersPlay(server.api, lasts, nextText, tally);
  const floodSeconds = (performance.now() - begun) / 1000;
  // What was not answered by now ends with the server, and does not count as refused.
  for (const reply of replies) flood.take(reply);
  await server.stop();
  await Promise.all(requests);
  return { alone, flooded, floodSeconds };
}

/** Says yes for so long. */
function during(ms: number): () => boolean {
  const begun = performance.now();
  return () => performance.now() - begun < ms;
}

/** Each user sends every 200 ms, whether its last request was answered or not. @returns ms of each answer */
async function sendersPlay(
  api: Api,
  goOn: () => boolean,
  nextText: () => string,
  tally: Tally,
): Promise<readonly number[]> {
  const answers: Promise<number>[] = [];
  const senders = Array.from({ length: SENDERS }, async (_, sender) => {
    await pause((sender * EVERY_MS) / SENDERS);
    while (goOn()) {
      const body = { model: bundledModel.id, inputs: nextText(), user: `sender-${sender}` };
      answers.push(api.classify(body).then((reply) => (tally.take(reply) ? reply.ms : Number.NaN)));
      await pause(EVERY_MS);
    }
  });
  await Promise.all(senders);
  return (await Promise.all(answers)).filter((each) => !Number.isNaN(each));
}
