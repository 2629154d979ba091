/** Writes the ONNX file of a described graph, streaming: its size is known before its content. */

import type { FileHandle } from 'node:fs/promises';
import { open, rename, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import type { GraphBuilder, Initializer } from '../../src/models/compile/onnx/graph-builder.js';
import { dataBytes } from '../../src/models/compile/onnx/graph-builder.js';
import {
  graphNameField,
  initializerHeader,
  modelHeader,
  nodeField,
  valueField,
} from '../../src/models/compile/onnx/messages.js';
import { totalBytes } from '../../src/models/compile/onnx/protobuf-writer.js';
import { gaussianStream } from './random.js';

/** Weights are generated and written this many at a time (4 MiB): the generator's memory. */
const WEIGHTS_PER_WRITE = 1_048_576;
const PRODUCER = 'plimsoll-synthetic';

/** A model file that is ready to be written. */
export interface ModelFile {
  /** Everything before the first initializer. */
  readonly head: Uint8Array;
  /** Initializers with their encoded headers. */
  readonly tensors: readonly { readonly header: Uint8Array; readonly initializer: Initializer }[];
  /** Size of the whole file, in bytes. */
  readonly bytes: number;
}

/** Lays out the file of a classifier's graph with the given number of labels. */
export function planModelFile(graph: GraphBuilder, labels: number): ModelFile {
  const rows = ['batch', 'sequence'];
  const tensors = graph.initializers.map((initializer) => {
    const { name, type, shape } = initializer;
    return { header: initializerHeader(name, type, shape, dataBytes(initializer)), initializer };
  });
  const fields = [
    graphNameField('bert'),
    valueField('input', { name: 'input_ids', type: 'int64', shape: rows }),
    valueField('input', { name: 'attention_mask', type: 'int64', shape: rows }),
    valueField('output', { name: 'logits', type: 'float', shape: ['batch', labels] }),
    ...graph.nodes.map((node) => nodeField(node)),
  ];
  const tensorBytes = tensors.reduce(
    (sum, { header, initializer }) => sum + header.byteLength + dataBytes(initializer),
    0,
  );
  const header = modelHeader(PRODUCER, totalBytes(fields) + tensorBytes);
  const head = Buffer.concat([header, ...fields]);
  return { head, tensors, bytes: head.byteLength + tensorBytes };
}

/** `FileHandle.write` may write less than it is given, for instance on a full disk. */
async function writeFully(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset);
    offset += bytesWritten;
  }
}

async function writeData(
  file: FileHandle,
  initializer: Initializer,
  seed: number,
  buffer: Float32Array<ArrayBuffer>,
): Promise<void> {
  const { name, source } = initializer;
  if (source.kind === 'bytes') {
    await writeFully(file, source.bytes);
    return;
  }
  if (source.kind === 'external') throw new Error(`${name} lies in another file`);
  const fill = gaussianStream(seed, name, source.mean, source.std);
  let left = dataBytes(initializer) / Float32Array.BYTES_PER_ELEMENT;
  while (left > 0) {
    const part = buffer.subarray(0, Math.min(left, buffer.length));
    fill(part);
    await writeFully(file, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    left -= part.length;
  }
}

async function writeTo(file: FileHandle, model: ModelFile, seed: number): Promise<void> {
  const buffer = new Float32Array(WEIGHTS_PER_WRITE);
  await writeFully(file, model.head);
  for (const { header, initializer } of model.tensors) {
    await writeFully(file, header);
    await writeData(file, initializer, seed, buffer);
  }
  const { size } = await file.stat();
  if (size !== model.bytes) {
    throw new Error(`wrote ${size} bytes of a model of ${model.bytes}`);
  }
}

/**
 * Writes a model file: to a temporary name beside `path`, then renamed, so that nobody ever opens
 * half a model.
 *
 * @param seed - seed of all weights
 */
export async function writeModelFile(path: string, model: ModelFile, seed: number): Promise<void> {
  if (endianness() !== 'LE') {
    throw new Error('synthetic models can only be written on a little-endian machine');
  }
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      await writeTo(file, model, seed);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
