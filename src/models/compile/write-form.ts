/** Compiles a model into its mapped form, and finds out how it has to be served. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Decision } from '../intake/description.js';
import { MappedSession } from '../run/onnx-session.js';
import type { Findings } from '../run/serving-plan.js';
import { type Encoding, TextEncoder } from '../run/tokenizer.js';
import { compareTokenizers } from './compare-tokenizers.js';
import { inspectGraph, type MakeRow } from './inspect-graph.js';
import { measureRoom } from './measure-room.js';
import type { WriteJob } from './preparer-protocol.js';
import { type SourceGraph, sourceGraph, writeMapped } from './source-graph.js';
import { compareWithOriginal } from './verify/compare-original.js';

/** Words that rows for trials are made of; any tokenizer makes many tokens of them. */
const TRIAL_TEXT =
  'The train was late, but we had 3 good seats and a long talk about music, rain and the price of bread. ';
const TRIAL_REPEATS = 40;

/** @throws PlimsollError MODEL_UNUSABLE */
export async function writeForm(
  job: WriteJob,
): Promise<{ readonly digest: string; readonly findings: Findings }> {
  const digest = await digestOf(job.source, job.files);
  const directory = path.dirname(job.graphFile);
  const stage = path.join(directory, 'stage');
  await mkdir(stage, { recursive: true });
  try {
    const source = await sourceGraph(job.source, job.weights, stage);
    await writeMapped(source, job.graphFile, job.weightsFile);
    return { digest, findings: await findOut(job, source) };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function findOut(job: WriteJob, source: SourceGraph): Promise<Findings> {
  const { inspect, tokenizer: files } = job;
  const { choice, why } = await compareTokenizers(files);
  const encoder = await TextEncoder.open(files, inspect.maxTokens, choice);
  const makeRow = await rowMaker(encoder);
  const session = await MappedSession.open(job.graphFile, { threads: job.threads, arena: false });
  try {
    const { plan, decisions } = await inspectGraph(session, makeRow, inspect);
    const room = await measureRoom(session, plan, makeRow, inspect.maxTokens, job.budget);
    const compared = await compareWithOriginal(session, source, plan, makeRow, inspect.dtype);
    const all = [...decisions, ...textDecisions(), compared];
    return { plan, tokenizer: choice, ...room, decisions: all };
  } finally {
    await session.release();
  }

  function textDecisions(): readonly Decision[] {
    return [
      { about: 'tokenizer', value: choice.kind, from: `measured: ${why}` },
      { about: 'cut off', value: encoder.truncationSide, from: 'the tokenizer’s files' },
    ];
  }
}

/** Rows of real tokens, of any length, framed as a text is. */
export async function rowMaker(encoder: TextEncoder): Promise<MakeRow> {
  const whole = await (await encoder.native()).idsOf([TRIAL_TEXT.repeat(TRIAL_REPEATS)]);
  const words = whole[0] !== undefined && whole[0].length > 0 ? whole[0] : [0];
  const { before, beforeTypes, textType, after, afterTypes } = encoder.frame;
  return (tokens, variant = 0): Encoding => {
    const length = Math.max(1, tokens - before.length - after.length);
    // Another beginning for each variant: rows of one length, with other words.
    const content = Array.from(
      { length },
      (_, at) => words[(at * (1 + variant) + 7 * variant) % words.length] ?? 0,
    );
    const ids = [...before, ...content, ...after];
    const types = [...beforeTypes, ...content.map(() => textType), ...afterTypes];
    return { ids, types, truncated: false };
  };
}

/** SHA-256 over the names and contents of the model's files. */
export async function digestOf(directory: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file}\n`);
    for await (const chunk of createReadStream(path.join(directory, file))) hash.update(chunk);
  }
  return hash.digest('hex');
}
