import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import type { Reply } from '../harness/http-client.js';
import { pause, Tally } from '../harness/load.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { bundledModel, distinctMails, realMails } from './mails.js';
import { percentile } from './percentile.js';

const MOST_RATIO = 3;
const SENDERS = 7;
const EVERY_MS = 200;
const FLOOD = 10_000;
/** The flood comes in requests of this many inputs, all at once. */
const PER_REQUEST = 1000;
const FULL = { rounds: 3, ms: 10_000 };
const QUICK = { rounds: 1, ms: 4000 };

/** A user with very many inputs does not hold up those with one. */
export const fairness: Benchmark = {
  name: 'fairness',
  about: 'one user floods with 10,000 inputs, seven others send one every 200 ms',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { rounds, ms } = context.quick ? QUICK : FULL;
  const settings = {
    'cache.max_size': 0,
    'session.max_users': 1000,
    'queue.max_inputs': 2 * FLOOD,
    'queue.user_share': 100,
    'request.deadline_ms': 600_000,
  };
  const ratios: number[] = [];
  const [alone, flooded]: [number[], number[]] = [[], []];
  const seconds: number[] = [];
  const refused = new Tally();
  const tally = new Tally();
  for (let round = 1; round <= rounds; round += 1) {
    const server = await startServer(context, { models: [bundledModel], settings });
    await server.api.load(bundledModel.id);
    const nextText = distinctMails(realMails());
    context.progress.at(`round ${round} of ${rounds}, alone`);
    await sevenSend(server.api, until(ms / 2), nextText, tally);
    const before = await sevenSend(server.api, until(ms), nextText, tally);
    context.progress.at(`round ${round} of ${rounds}, flooded`);
    const replies: Reply[] = [];
    const requests = Array.from({ length: FLOOD / PER_REQUEST }, async () => {
      const inputs = Array.from({ length: PER_REQUEST }, nextText);
      replies.push(await server.api.classify({ model: bundledModel.id, inputs, user: 'flood' }));
    });
    await pause(EVERY_MS);
    const [inTime, sentAt] = [until(ms), performance.now()];
    const lasts = () => inTime() && replies.length < requests.length;
    const during = await sevenSend(server.api, lasts, nextText, tally);
    seconds.push((performance.now() - sentAt) / 1000);
    for (const reply of replies) refused.take(reply);
    await server.stop();
    await Promise.all(requests);
    ratios.push(percentile(during, 0.95) / percentile(before, 0.95));
    alone.push(...before);
    flooded.push(...during);
  }
  return {
    checks: [
      atMost('the seven’s p95 ÷ alone', rounded(median(ratios)), MOST_RATIO),
      exactly('requests of the flood that were refused', refused.failures.length, 0),
    ],
    facts: [
      { fact: 'ratio', value: spread(ratios) },
      { fact: 'alone', value: latencies(alone) },
      { fact: 'flooded', value: latencies(flooded) },
      { fact: 'the flood lasted', value: spread(seconds, ' s', 1) },
      ...tally.failureFacts,
      ...refused.failureFacts,
    ],
    details: { ratios },
  };
}

/** Says yes for so long. */
function until(ms: number): () => boolean {
  const begun = performance.now();
  return () => performance.now() - begun < ms;
}

/** Each sends every 200 ms, whether the last was answered or not. @returns ms of each answer */
async function sevenSend(
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
