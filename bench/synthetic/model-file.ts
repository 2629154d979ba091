/** Writes the ONNX file of a described graph, streaming: its size is known before its content. */

import type { FileHandle } from 'node:fs/promises';
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
import { inParts, writeFully, writeWhole } from './weights-stream.js';

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

async function writeData(file: FileHandle, initializer: Initializer, seed: number): Promise<void> {
  const { name, source } = initializer;
  if (source.kind === 'bytes') {
    await writeFully(file, source.bytes);
    return;
  }
  if (source.kind === 'external') throw new Error(`${name} lies in another file`);
  const fill = gaussianStream(seed, name, source.mean, source.std);
  await inParts(dataBytes(initializer) / Float32Array.BYTES_PER_ELEMENT, async (part) => {
    fill(part);
    await writeFully(file, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  });
}

/**
 * Writes a model file.
 *
 * @param seed - seed of all weights
 */
export async function writeModelFile(path: string, model: ModelFile, seed: number): Promise<void> {
  await writeWhole(path, model.bytes, async (file) => {
    await writeFully(file, model.head);
    for (const { header, initializer } of model.tensors) {
      await writeFully(file, header);
      await writeData(file, initializer, seed);
    }
  });
}
