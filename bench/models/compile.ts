import path from 'node:path';
import {
  atMost,
  type Benchmark,
  type Context,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { runChild } from '../harness/child.js';
import {
  type CachedModel,
  checkpointModel,
  plainModelOf,
  syntheticModel,
} from '../harness/models.js';
import { type Prepared, prepareOnce } from '../harness/programs/preparing.js';
import { median, rounded, spread } from '../harness/spread.js';

const ROUNDS = { full: 3, quick: 1 };
const MOST_PEAK_RATIO = 2.2;
const MB = 2 ** 20;

export const compile: Benchmark = {
  name: 'compile',
  about:
    'time and peak private memory of preparing a bert-base, from safetensors (F32, BF16) and from ONNX, against opening it',
  run,
};

interface Source {
  readonly name: string;
  readonly model: CachedModel;
  /** Weights in float32, in MB. */
  readonly weightsMb: number;
  /** The graph that a plain session opens. */
  readonly graph: string;
}

interface Measured {
  readonly source: Source;
  readonly runs: readonly Prepared[];
  readonly openMs: readonly number[];
  /** With the default dtype: faster forms are made and verified too. */
  readonly auto: readonly Prepared[];
}

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const onnx = await syntheticModel('bert-base', progress);
  const single = await checkpointModel('bert', 'base', progress);
  const half = await checkpointModel('bert', 'base', progress, 'BF16');
  const plain = path.join((await plainModelOf(single)).directory, 'model.onnx');
  const sources: readonly Source[] = [
    { name: 'safetensors F32', model: single, weightsMb: single.bytes / MB, graph: plain },
    { name: 'safetensors BF16', model: half, weightsMb: (2 * half.bytes) / MB, graph: plain },
    {
      ...{ name: 'ONNX', model: onnx, weightsMb: onnx.bytes / MB },
      graph: path.join(onnx.directory, 'onnx', 'model.onnx'),
    },
  ];
  const measured = sources.map((source) => ({
    source,
    runs: [] as Prepared[],
    openMs: [] as number[],
    auto: [] as Prepared[],
  }));
  const rounds = sizeOf(context, ROUNDS);
  for (let round = 1; round <= rounds; round += 1) {
    for (const of of measured) {
      progress.at(`round ${round} of ${rounds}: ${of.source.name}`);
      of.openMs.push(await runChild<number>(context, 'memory/plain-open-main', [of.source.graph]));
      of.runs.push(await prepareOnce(context, of.source.model));
      progress.at(`round ${round} of ${rounds}: ${of.source.name}, verified forms`);
      of.auto.push(await prepareOnce(context, { ...of.source.model, dtype: 'auto' }));
    }
  }
  return {
    headline: measured
      .map((of) => `${of.source.name} ${secondsOf(of).toFixed(1)} s, ${peakOf(of).toFixed(0)} MB`)
      .join('; '),
    checks: measured.map((of) =>
      atMost(
        `${of.source.name}: peak private memory ÷ weights`,
        rounded(peakOf(of) / of.source.weightsMb),
        MOST_PEAK_RATIO,
      ),
    ),
    facts: measured.flatMap(factsOf),
    details: {
      definition:
        'seconds: the whole of `plimsoll models --prepare --dtype fp32`, with tokenizer, longest text and all measurements; ' +
        'peak: the highest RssAnon of one of its processes, read every 4 ms; opening: InferenceSession.create; ' +
        'default: the same with --dtype auto, whose processes also make faster forms and hold them against fp32',
      measured: measured.map(({ source, runs, openMs, auto }) => ({
        ...{ name: source.name, weightsMb: source.weightsMb, openMs },
        runs: runs.map(({ seconds, peakMb }) => ({ seconds, peakMb })),
        auto: auto.map(({ seconds, peakMb }) => ({ seconds, peakMb })),
      })),
    },
  };
}

function secondsOf({ runs }: Measured): number {
  return median(runs.map(({ seconds }) => seconds));
}

function peakOf({ runs }: Measured): number {
  return median(runs.map(({ peakMb }) => peakMb));
}

function factsOf({ source, runs, openMs, auto }: Measured): readonly Fact[] {
  const { name, weightsMb } = source;
  return [
    { fact: `${name}: weights in float32`, value: `${weightsMb.toFixed(0)} MB` },
    {
      fact: `${name}: preparing`,
      value: spread(
        runs.map(({ seconds }) => seconds),
        ' s',
        1,
      ),
    },
    {
      fact: `${name}: peak`,
      value: spread(
        runs.map(({ peakMb }) => peakMb),
        ' MB',
        0,
      ),
    },
    {
      fact: `${name}: preparing as by default, with verified forms`,
      value: spread(
        auto.map(({ seconds }) => seconds),
        ' s',
        1,
      ),
    },
    {
      fact: `${name}: peak as by default`,
      value: spread(
        auto.map(({ peakMb }) => peakMb),
        ' MB',
        0,
      ),
    },
    { fact: `${name}: opening as a plain session`, value: spread(openMs, ' ms', 0) },
  ];
}
