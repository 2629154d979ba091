/** Generates transformer classifiers with random weights, in the layout of Hugging Face models. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { halveFile } from '../../src/models/compile/quantise/halve.js';
import { quantiseFile } from '../../src/models/compile/quantise/quantise.js';
import { type Dtype, graphFileOf } from '../../src/models/intake/dtype.js';
import { describeClassifier } from './encoder.js';
import type { SmallFile } from './metadata.js';
import {
  configFile,
  readmeFile,
  readTokenizer,
  sameContent,
  vocabularySize,
  writeSmallFile,
} from './metadata.js';
import { planModelFile, writeModelFile } from './model-file.js';
import type { ClassifierShape, ShapeName } from './shapes.js';
import { shapes } from './shapes.js';

export type { ShapeName };
export { shapes };

const DEFAULT_LABELS = 2;
const DEFAULT_MAX_POSITIONS = 512;

/** What to generate. */
export interface SyntheticModelOptions {
  /** Sizes of the encoder. */
  readonly shape: ShapeName;
  /** Seed of the weights, a 32-bit integer: the same seed gives the same bytes. */
  readonly seed: number;
  /** Folder of the model; created when missing. */
  readonly directory: string;
  /** Folder with the tokenizer.json and tokenizer_config.json to copy. */
  readonly tokenizerDirectory: string;
  /** Number of labels; 2 when left out. */
  readonly labels?: number;
  /** Longest sequence, in tokens; 512 when left out. */
  readonly maxPositions?: number;
  /** Type of the weights: the others are made of the fp32 of the same seed; fp32 when left out. */
  readonly dtype?: Dtype;
}

/** A generated model. */
export interface SyntheticModel {
  /** Folder of the model. */
  readonly directory: string;
  /** Number of weights. */
  readonly parameters: number;
  /** Size of its ONNX file, in bytes. */
  readonly bytes: number;
}

function requireInteger(name: string, value: number, minimum: number, maximum: number): number {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${name} must be an integer from ${minimum} to ${maximum}, not ${value}`);
  }
  return value;
}

/** Whether the folder already holds the model; config.json, written last, vouches for the rest. */
async function isComplete(
  directory: string,
  modelPath: string,
  bytes: number | undefined,
  files: readonly SmallFile[],
): Promise<boolean> {
  const status = await stat(modelPath).catch(() => undefined);
  if (status === undefined || (bytes !== undefined && status.size !== bytes)) {
    return false;
  }
  const same = await Promise.all(files.map((file) => sameContent(directory, file)));
  return !same.includes(false);
}

/**
 * Generates a classifier with random weights, or does nothing when the folder already holds just
 * that one. The weights stream to the disk: memory use stays at tens of megabytes for any shape.
 *
 * @returns the folder and the model's size
 * @throws RangeError - a number is out of range
 * @throws Error - the tokenizer cannot be read, or the folder cannot be written
 */
export async function generateSyntheticModel(
  options: SyntheticModelOptions,
): Promise<SyntheticModel> {
  const { directory, shape: name, dtype = 'fp32' } = options;
  const seed = requireInteger('seed', options.seed, -(2 ** 31), 2 ** 32 - 1);
  const tokenizer = await readTokenizer(options.tokenizerDirectory);
  const [tokenizerJson] = tokenizer;
  const shape: ClassifierShape = {
    ...shapes[name],
    vocabulary: vocabularySize(tokenizerJson?.content ?? new Uint8Array()),
    maxPositions: requireInteger(
      'maxPositions',
      options.maxPositions ?? DEFAULT_MAX_POSITIONS,
      2,
      65_536,
    ),
    labels: requireInteger('labels', options.labels ?? DEFAULT_LABELS, 1, 10_000),
  };
  const graph = describeClassifier(shape);
  const model = planModelFile(graph, shape.labels);
  const source = join(directory, graphFileOf('fp32'));
  const modelPath = join(directory, graphFileOf(dtype));
  // Only the size of what is written here is known beforehand.
  const bytes = dtype === 'fp32' ? model.bytes : undefined;
  const config = configFile(name, seed, shape);
  const files = [...tokenizer, readmeFile(name, seed), config];
  if (!(await isComplete(directory, modelPath, bytes, files))) {
    await mkdir(join(directory, 'onnx'), { recursive: true });
    // Without its config, a folder left half done never passes for a complete model.
    await rm(join(directory, config.name), { force: true });
    await writeModelFile(source, model, seed);
    if (dtype !== 'fp32') {
      await (dtype === 'q8' ? quantiseFile : halveFile)(source, modelPath);
      await rm(source);
    }
    for (const file of files) {
      await writeSmallFile(directory, file);
    }
  }
  const { size } = await stat(modelPath);
  return { directory, parameters: graph.parameters, bytes: size };
}
