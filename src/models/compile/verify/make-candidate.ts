/** Writes a faster form of a model, and opens it. */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { MappedSession } from '../../run/onnx-session.js';
import type { ServingPlan } from '../../run/serving-plan.js';
import { digestOfSources } from '../forms/checksums.js';
import { inspectGraph, type MakeRow } from '../inspect-graph.js';
import { MAPPED_GRAPH, MAPPED_WEIGHTS } from '../mapped-form.js';
import type { InspectOptions } from '../preparer-protocol.js';
import { QUANTISED_GRAPH, quantisePerToken } from '../quantise/per-token.js';
import type { PerTokenOptions } from '../quantise/per-token-graph.js';
import type { OpenForm } from './answers.js';
import { endingOf } from './graph-ending.js';
import { type SourceGraph, sourceGraph, writeMapped } from './source-graph.js';

/** Raise it when quantising changes: the same options then give other answers. */
const QUANTISER = 1;

/** A form on disk, open. */
export interface WrittenForm extends OpenForm {
  readonly folder: string;
  /** SHA-256 over what it was made from. */
  readonly digest: string;
}

export interface Making {
  /** The fp32 graph. */
  readonly source: SourceGraph;
  /** How the fp32 form is fed. */
  readonly plan: ServingPlan;
  readonly threads: number;
}

/** Our own quantised form of the fp32 graph. @throws PlimsollError MODEL_UNUSABLE */
export async function makeOwn(
  { source, plan, threads }: Making,
  folder: string,
  options: PerTokenOptions,
): Promise<WrittenForm> {
  const stage = path.join(folder, 'stage');
  await mkdir(stage, { recursive: true });
  try {
    await quantisePerToken(source, stage, options);
    const graphFile = path.join(stage, QUANTISED_GRAPH);
    await writeMapped({ graphFile, dataFolder: stage, isApart: false }, ...namesIn(folder));
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  const { weights, embeddings, keep } = options;
  const made = JSON.stringify([QUANTISER, weights, embeddings, [...(keep ?? [])]]);
  const digest = createHash('sha256').update(made).digest('hex');
  return { folder, digest, plan, session: await open(folder, threads) };
}

/** A q8 graph of the folder; how it is fed is found out anew. @throws PlimsollError MODEL_UNUSABLE */
export async function makeShipped(
  { plan: own, threads }: Making,
  folder: string,
  files: { readonly source: string; readonly weights: readonly string[] },
  inspect: InspectOptions,
  makeRow: MakeRow,
): Promise<WrittenForm> {
  const stage = path.join(folder, 'stage');
  await mkdir(stage, { recursive: true });
  try {
    const graph = await sourceGraph(files.source, files.weights, stage);
    await writeMapped(graph, ...namesIn(folder));
    const digest = await digestOfSources(files.source, files.weights);
    const session = await open(folder, threads);
    const options = { ...inspect, dtype: 'q8', labels: own.labelCount } as const;
    const { plan } = await inspectGraph(session, makeRow, options);
    const endsIn = await endingOf(session, graph, plan, makeRow);
    return {
      ...{ folder, digest, session },
      plan: { ...plan, ...(endsIn === undefined ? {} : { endsIn }) },
    };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function namesIn(folder: string): [string, string] {
  return [path.join(folder, MAPPED_GRAPH), MAPPED_WEIGHTS];
}

/** In the hot gear: speed is compared as it is under load. Both gears give the same scores. */
function open(folder: string, threads: number): Promise<MappedSession> {
  return MappedSession.open(path.join(folder, MAPPED_GRAPH), { threads, arena: true, gear: 'hot' });
}
