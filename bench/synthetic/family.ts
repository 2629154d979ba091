/** Generates classifiers of many families as checkpoints: `model.safetensors` with random weights. */
import { link, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { compileSafetensors } from '../../src/models/compile/compile-safetensors.js';
import { neededTensors } from '../../src/models/compile/families/describe.js';
import { type FamilyName, type FamilySize, familyConfig } from './family-shapes.js';
import { json, readTokenizer, sameContent, vocabularySize, writeSmallFile } from './metadata.js';
import { gaussianStream } from './random.js';
import { inParts, writeFully, writeWhole } from './weights-stream.js';

/** Counts the changes of what a seed stands for, so that models of an older recipe are replaced. */
const RECIPE = 1;
const LABELS = ['NO', 'MAYBE', 'YES'];
const BYTES = { F32: 4, BF16: 2 } as const;
/** Spread of a matrix times the root of its inputs: layers keep the size of what passes through them. */
const GAIN = 0.8;
/** The last layer has larger weights, so that texts differ in their labels. */
const HEAD_GAIN = 6;

export interface FamilyModelOptions {
  readonly name: FamilyName;
  readonly size: FamilySize;
  /** Seed of the weights, a 32-bit integer. */
  readonly seed: number;
  /** Type that the weights are stored in. */
  readonly dtype: keyof typeof BYTES;
  /** Folder of the model; created when missing. */
  readonly directory: string;
  readonly tokenizerDirectory: string;
}

/**
 * Generates the model, or does nothing when the folder holds just that one.
 *
 * @returns size of its weights' file, in bytes
 */
export async function generateFamilyModel(options: FamilyModelOptions): Promise<number> {
  const { name, size, seed, dtype, directory } = options;
  const tokenizer = await readTokenizer(options.tokenizerDirectory);
  const vocabulary = vocabularySize(tokenizer[0]?.content ?? new Uint8Array());
  const config = familyConfig(name, size, vocabulary, LABELS);
  const marked = { ...config, _synthetic: { size, seed, dtype, recipe: RECIPE } };
  const description = { name: 'config.json', content: json(marked) };
  const file = path.join(directory, 'model.safetensors');
  const found = await stat(file).catch(() => undefined);
  if (found !== undefined && (await sameContent(directory, description))) return found.size;
  await mkdir(directory, { recursive: true });
  // Written last: it vouches for the rest.
  await rm(path.join(directory, description.name), { force: true });
  const bytes = await writeCheckpoint(file, neededTensors(config), seed, dtype);
  for (const one of [...tokenizer, description]) await writeSmallFile(directory, one);
  return bytes;
}

/**
 * The same model as an ONNX graph over the same weights, for a plain session: `model.onnx` with the
 * checkpoint as its external data.
 *
 * @param directory folder of a generated model with F32 weights
 * @returns the folder of the graph
 */
export async function plainGraphOf(directory: string, tokenizerDirectory: string): Promise<string> {
  const folder = `${directory}-onnx`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await link(path.join(directory, 'model.safetensors'), path.join(folder, 'model.safetensors'));
  for (const file of await readTokenizer(tokenizerDirectory)) await writeSmallFile(folder, file);
  await link(path.join(directory, 'config.json'), path.join(folder, 'config.json'));
  const { graphFile } = await compileSafetensors(directory, folder);
  await rename(graphFile, path.join(folder, 'model.onnx'));
  return folder;
}

async function writeCheckpoint(
  file: string,
  tensors: ReturnType<typeof neededTensors>,
  seed: number,
  dtype: keyof typeof BYTES,
): Promise<number> {
  const counts = tensors.map(({ shape }) => shape.reduce((all, length) => all * length, 1));
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const [index, { name, shape }] of tensors.entries()) {
    const begin = end;
    end += (counts[index] ?? 0) * BYTES[dtype];
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(8 * Math.ceil(text.length / 8), ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const bytes = length.length + padded.length + end;
  await writeWhole(file, bytes, async (handle) => {
    await writeFully(handle, length);
    await writeFully(handle, Buffer.from(padded, 'latin1'));
    for (const [index, { name, shape }] of tensors.entries()) {
      const fill = gaussianStream(seed, name, ...spreadOf(name, shape));
      await inParts(counts[index] ?? 0, async (part) => {
        fill(part);
        await writeFully(handle, stored(part, dtype));
      });
    }
  });
  return bytes;
}

/** Mean and standard deviation of a tensor's values. */
function spreadOf(name: string, shape: readonly number[]): readonly [number, number] {
  const isNorm = /norm[^.]*\.weight$/i.test(name);
  if (shape.length === 1) return isNorm ? [1, 0.02] : [0, 0.02];
  if (/embed/i.test(name)) return [0, 0.5];
  const isHead = shape[0] === LABELS.length;
  return [0, (isHead ? HEAD_GAIN : GAIN) / Math.sqrt(shape[1] ?? 1)];
}

/** The bytes of the values; BF16 is the upper half of a float32. */
function stored(values: Float32Array<ArrayBuffer>, dtype: keyof typeof BYTES): Uint8Array {
  const { buffer, byteOffset, byteLength, length } = values;
  if (dtype === 'F32') return new Uint8Array(buffer, byteOffset, byteLength);
  const words = new Uint32Array(buffer, byteOffset, length);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}
