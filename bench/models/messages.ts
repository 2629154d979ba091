import type { WorkerMessage, WorkerRequest } from '../../src/inference/workers/protocol.js';
import { MODEL_ENVIRONMENT, MODEL_NODE_FLAGS } from '../../src/system/process/tuning.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import { cpuMs, ownCpuMs } from '../harness/machine/cpu-time.js';
import { median, rounded, spread } from '../harness/spread.js';
import { mailSource, realMails } from '../harness/users/mails.js';

const WAYS = ['json', 'advanced'] as const;
const SIZES = { full: { rounds: 7, batches: 3000 }, quick: { rounds: 1, batches: 300 } };
/** Mails in a batch: so many are usual under load. */
const BATCH = 4;
const WARM_UP = 300;
const MOST_RATIO = 1.05;

/** CPU time of a batch in µs, for each round. */
interface Figures {
  readonly main: number[];
  readonly worker: number[];
}

export const messages: Benchmark = {
  name: 'messages',
  about: 'CPU time of sending a batch to a worker and back as a structured clone, against JSON',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { rounds, batches } = sizeOf(context, SIZES);
  const figures: Record<(typeof WAYS)[number], Figures> = {
    json: { main: [], worker: [] },
    advanced: { main: [], worker: [] },
  };
  const children = WAYS.map((serialization) => ({
    serialization,
    child: startChild(context, 'models/message-main', [], {
      nodeFlags: MODEL_NODE_FLAGS,
      environment: MODEL_ENVIRONMENT,
      serialization,
    }),
  }));
  for (const { child } of children) await send(child, WARM_UP);
  for (let round = 1; round <= rounds; round += 1) {
    for (const { serialization, child } of children) {
      context.progress.at(`round ${round} of ${rounds}, ${serialization}`);
      const pid = child.process.pid ?? 0;
      const [main, worker] = [ownCpuMs(), cpuMs(pid)];
      await send(child, batches);
      figures[serialization].main.push(((ownCpuMs() - main) / batches) * 1000);
      figures[serialization].worker.push(((cpuMs(pid) - worker) / batches) * 1000);
    }
  }
  const { json, advanced } = figures;
  const [clones, text] = [median(advanced.main), median(json.main)];
  const ratio = rounded(clones / text);
  return {
    headline: `${clones.toFixed(0)} against ${text.toFixed(0)} µs in the main process`,
    checks: [atMost('CPU time in the main process, structured clones ÷ JSON', ratio, MOST_RATIO)],
    facts: WAYS.flatMap((way) =>
      (['main', 'worker'] as const).map((side) => ({
        fact: `${way}: CPU of a batch of ${BATCH} mails, ${side}`,
        value: spread(figures[way][side], ' µs', 0),
      })),
    ),
    details: { batch: BATCH, batches, figures },
  };
}

/** One batch at a time, as the server sends them. */
async function send(child: Child, batches: number): Promise<void> {
  const nextText = mailSource(realMails());
  for (let id = 0; id < batches; id += 1) {
    const inputs = Array.from({ length: BATCH }, nextText);
    const request: WorkerRequest = { type: 'run', model: 'spam', inputs };
    child.tell({ ...request, id });
    const answer = (await child.next()) as WorkerMessage;
    if (answer.type !== 'answer' || answer.id !== id)
      throw new Error('another answer was expected');
  }
}
