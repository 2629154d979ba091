/** Compiles a model into its mapped form, and finds out how it has to be served. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Decision } from '../intake/description.js';
import { MappedSession, type OptimisationLevel } from '../run/onnx-session.js';
import type { Findings } from '../run/serving-plan.js';
import { type Encoding, TextEncoder } from '../run/tokenizer.js';
import { type CompareTokenizers, compareTokenizers } from './compare-tokenizers.js';
import { checksumsOf, digestOfSources } from './forms/checksums.js';
import { diskFailureBehind } from './forms/disk-failure.js';
import { inspectGraph, type MakeRow } from './inspect-graph.js';
import { MAPPED_GRAPH, MAPPED_WEIGHTS, type WrittenForm } from './mapped-form.js';
import { measureRoom } from './measure-room.js';
import type { WriteJob } from './preparer-protocol.js';
import { compareWithOriginal, FormDiffers } from './verify/compare-original.js';
import { endingOf } from './verify/graph-ending.js';
import { type SourceGraph, sourceGraph, writeMapped } from './verify/source-graph.js';

/** Words that rows for trials are made of; any tokenizer makes many tokens of them. */
const TRIAL_TEXT =
  'The train was late, but we had 3 good seats and a long talk about music, rain and the price of bread. ';
const TRIAL_REPEATS = 40;

/** @throws PlimsollError MODEL_UNUSABLE, STORAGE_UNAVAILABLE */
export async function writeForm(
  job: WriteJob,
  compare: CompareTokenizers = compareTokenizers,
): Promise<WrittenForm> {
  const digest = await digestOfSources(job.source, job.files);
  const directory = path.dirname(job.graphFile);
  const findings = await writeGraph(job, directory, compare);
  return { digest, findings, files: await checksumsOf(directory, [MAPPED_GRAPH, MAPPED_WEIGHTS]) };
}

async function writeGraph(
  job: WriteJob,
  directory: string,
  compare: CompareTokenizers,
): Promise<Findings> {
  const stage = path.join(directory, 'stage');
  try {
    await mkdir(stage, { recursive: true });
    const source = await sourceGraph(job.source, job.weights, stage);
    return await writeAsItsGraph(job, source, compare);
  } catch (error) {
    // While the staged files still take their room: afterwards the disk would look well.
    throw (await diskFailureBehind(error, directory)) ?? error;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/**
 * 1. Everything that ONNX Runtime can optimise is.
 * 2. If that changes what the graph gives, beyond the order of sums (fused products of integers add up in a deep graph), nothing is
 *    fused.
 *
 * @throws FormDiffers if that gives something else too
 */
async function writeAsItsGraph(
  job: WriteJob,
  source: SourceGraph,
  compare: CompareTokenizers,
): Promise<Findings> {
  const write = async (level: OptimisationLevel) => {
    await writeMapped(source, job.graphFile, job.weightsFile, level);
    return findOut(job, source, compare);
  };
  try {
    return await write('extended'); // 1
  } catch (error) {
    if (!(error instanceof FormDiffers)) throw error;
    await rm(path.join(path.dirname(job.graphFile), job.weightsFile), { force: true });
    const findings = await write('basic'); // 2
    const from = `measured: with fused operators ${error.shift}`;
    const unfused: Decision = { about: 'optimisation', value: 'without fused operators', from };
    return { ...findings, decisions: [...findings.decisions, unfused] };
  }
}

async function findOut(
  job: WriteJob,
  source: SourceGraph,
  compare: CompareTokenizers,
): Promise<Findings> {
  const { inspect, tokenizer: files } = job;
  const { choice, why } = await compare(files, inspect.perToken ? 'places' : job.native);
  const encoder = await TextEncoder.open(files, inspect.maxTokens, choice);
  const makeRow = await rowMaker(encoder);
  const session = await MappedSession.open(job.graphFile, { threads: job.threads, arena: false });
  try {
    const { plan: read, decisions } = await inspectGraph(session, makeRow, inspect);
    const compared = await compareWithOriginal(session, source, read, makeRow, inspect.dtype);
    const room = await measureRoom(session, read, makeRow, inspect.maxTokens, job.budget);
    const endsIn = await endingOf(session, source, read, makeRow);
    const plan = { ...read, ...(endsIn === undefined ? {} : { endsIn }) };
    const all = [...decisions, ...textDecisions(), compared];
    return { plan, tokenizer: choice, ...room, decisions: all };
  } finally {
    await session.release();
  }

  function textDecisions(): readonly Decision[] {
    const isCompared = !inspect.perToken && job.native === undefined;
    return [
      { about: 'tokenizer', value: choice.kind, from: isCompared ? `measured: ${why}` : why },
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
