import { type AnswerView, describeFailure } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { startServer } from '../harness/server.js';
import { bundledModel, realMails } from './mails.js';
import { RawLoop } from './raw.js';

const MAILS = { full: 1000, quick: 100 };
const MOST_DIFFERENCE = 1e-4;

/** Speed changes no score: any batch gives what a plain session gives for each mail alone. */
export const sameScores: Benchmark = {
  name: 'same-scores',
  about:
    'scores of the real mails that there are (at most 1,000) through the server, in batches of many sizes, against a raw session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const mails = realMails().slice(0, context.quick ? MAILS.quick : MAILS.full);
  const raw = new RawLoop(context, bundledModel, 1);
  context.progress.at('the raw session');
  const { labels, scores: expected } = await raw.scores(mails, 2);
  await raw.stop();
  const server = await startServer(context, {
    models: [bundledModel],
    settings: { 'cache.max_size': 0 },
  });
  let difference = 0;
  let otherLabels = 0;
  let done = 0;
  for (let size = 1; done < mails.length; size = (size % 53) + 7) {
    context.progress.at(`mail ${done} of ${mails.length}`);
    const part = mails.slice(done, done + size);
    const reply = await server.api.classify({ model: bundledModel.id, inputs: part });
    if (reply.status !== 200) throw new Error(describeFailure(reply));
    for (const [row, result] of (reply.body as AnswerView).results.entries()) {
      const wanted = expected[done + row] ?? [];
      for (const { label, score } of result) {
        difference = Math.max(difference, Math.abs(score - (wanted[labels.indexOf(label)] ?? 9)));
      }
      const top = labels[wanted.indexOf(Math.max(...wanted))];
      if (result[0]?.label !== top) otherLabels += 1;
    }
    done += part.length;
  }
  await server.stop();
  return {
    checks: [
      atMost('largest difference of a score', difference, MOST_DIFFERENCE),
      exactly('mails with another label', otherLabels, 0),
    ],
    facts: [{ fact: 'mails', value: String(mails.length) }],
    details: {},
  };
}
