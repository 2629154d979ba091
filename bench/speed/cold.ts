import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { defaultThreads } from './gears.js';
import { textOfTokens } from './lengths.js';
import { RawLoop } from './raw.js';

const MOST_EXTRA_MS = 60;
const TOKENS = 16;
const ROUNDS = { full: 41, quick: 5 };

/** The first answer of a model that nobody had opened. */
export const cold: Benchmark = {
  name: 'cold',
  about:
    'bert-base: the first answer after an unload, page cache warm, against a hot plain session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('bert-base', 1, progress);
  if (model === undefined) throw new Error('no model');
  const threads = await defaultThreads();
  const text = await textOfTokens(model, TOKENS);
  const raw = new RawLoop(context, model, 1);
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const { api } = await startServer(context, { models: [model], settings });
  const classify = async () => {
    const reply = await api.classify({ model: model.id, inputs: text });
    if (reply.status !== 200) throw new Error(`not answered: ${reply.status}`);
    return reply.ms;
  };
  const [first, second, plain]: [number[], number[], number[]] = [[], [], []];
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  // The first round warms the page cache and both processes, and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}`);
    await api.unload(model.id);
    const plainMs = await raw.once(text, threads);
    const firstMs = await classify();
    const secondMs = await classify();
    if (round === 0) continue;
    first.push(firstMs);
    second.push(secondMs);
    plain.push(plainMs);
  }
  const extra = median(first) - median(plain);
  return {
    checks: [atMost('median first answer − raw hot, ms', rounded(extra, 1), MOST_EXTRA_MS)],
    facts: [
      { fact: 'first answer after an unload', value: spread(first, ' ms', 1) },
      { fact: 'the answer after that', value: spread(second, ' ms', 1) },
      { fact: 'raw, hot', value: spread(plain, ' ms', 1) },
    ],
    details: {
      definition:
        `one text of ${TOKENS} tokens; first: HTTP request to answer with the model unloaded before, its tokenizer too; ` +
        'raw: tokenizer and plain session with the same threads, both open and warm',
      ...{ threads, first_ms: first, second_ms: second, raw_ms: plain },
    },
  };
}
