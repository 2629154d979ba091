/**
 * The work without a server: the same tokenizer and a plain ONNX Runtime session in a tight loop.
 * Argument: folder of the model. Each message is a job; the answer comes when it is done.
 */
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describeModel } from '../../../src/models/intake/description.js';
import { ModelRepository } from '../../../src/models/intake/repository.js';
import { scoresOf } from '../../../src/models/run/scores.js';
import { TextEncoder } from '../../../src/models/run/tokenizer.js';
import type { RawJob } from './raw-loop.js';

const [directory = ''] = process.argv.slice(2);
const { labels, scoring, maxTokens, padTokenId } = await describeModel(directory);
const encoder = await TextEncoder.open(directory, maxTokens);
const repository = new ModelRepository(path.dirname(directory));
const { graphFile } = await repository.find(path.basename(directory));
let session: InferenceSession | undefined;
let sessionThreads = 0;

async function opened(threads: number): Promise<InferenceSession> {
  if (session !== undefined && sessionThreads === threads) return session;
  await session?.release();
  session = await InferenceSession.create(path.join(directory, graphFile), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  sessionThreads = threads;
  return session;
}

async function runBatch(open: InferenceSession, texts: readonly string[]): Promise<Float32Array> {
  const rows = texts.map((text) => encoder.encode(text).ids);
  const length = Math.max(...rows.map((ids) => ids.length));
  const feeds: Record<string, Tensor> = {};
  for (const name of open.inputNames) {
    const values = new BigInt64Array(rows.length * length);
    const words = new Int32Array(values.buffer);
    for (const [row, ids] of rows.entries()) {
      for (let at = 0; at < length; at += 1) {
        const id = ids[at];
        const present = name === 'input_ids' ? id : name === 'attention_mask' ? 1 : 0;
        const padding = name === 'input_ids' ? padTokenId : 0;
        words[(row * length + at) * 2] = id === undefined ? padding : (present ?? 0);
      }
    }
    feeds[name] = new Tensor('int64', values, [rows.length, length]);
  }
  const outputs = await open.run(feeds);
  return outputs[open.outputNames[0] ?? '']?.data as Float32Array;
}

async function perform(job: RawJob): Promise<unknown> {
  const open = await opened(job.threads);
  if (job.kind === 'score') {
    const scores: unknown[] = [];
    for (const text of job.texts) {
      scores.push(scoresOf(await runBatch(open, [text]), labels.length, scoring)[0]);
    }
    return { labels, scores };
  }
  if (job.kind === 'once') {
    const begun = performance.now();
    scoresOf(await runBatch(open, [job.text]), labels.length, scoring);
    return { ms: performance.now() - begun };
  }
  const { texts, batch } = job;
  await runBatch(open, texts.slice(0, batch));
  const begun = performance.now();
  let items = 0;
  while (performance.now() - begun < job.ms) {
    const part = Array.from(
      { length: batch },
      (_, row) => texts[(items + row) % texts.length] ?? '',
    );
    await runBatch(open, part);
    items += batch;
  }
  return { itemsPerSecond: (items * 1000) / (performance.now() - begun) };
}

process.on('message', (job: RawJob) => {
  void perform(job).then((answer) => process.send?.(answer as object));
});
