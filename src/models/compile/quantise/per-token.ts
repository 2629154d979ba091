/**
 * Quantisation whose rows do not depend on one another: activations are scaled token by token, weights column by
 * column. (`DynamicQuantizeLinear` takes one scale from the whole batch, so that a row's score depends on who
 * runs beside it.)
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError } from '../../../errors.js';
import { type Field, fieldsOf, integersOf, stringsOf } from '../onnx/protobuf-reader.js';
import { concat } from '../onnx/protobuf-writer.js';
import { type Node, nodeOf, tensorOf, withGraph } from '../onnx/rewrite.js';
import { DataFile } from './data-file.js';
import {
  factsOf,
  nameOf,
  PerTokenGraph,
  type PerTokenOptions,
  type ProductFacts,
} from './per-token-graph.js';
import { GraphReading, namesWithin } from './products.js';

/** A graph and the folder that its external data is relative to. */
export interface GraphSource {
  readonly graphFile: string;
  readonly dataFolder: string;
}

export interface QuantisedGraph {
  readonly products: readonly ProductFacts[];
  /** Size of the data file. */
  readonly dataBytes: number;
}

/** Names of the files that are written. */
export const QUANTISED_GRAPH = 'graph.onnx';
export const QUANTISED_DATA = 'graph.data';
/** Round came with opset 11; MatMulInteger with 10. */
const LEAST_OPSET = 11;

/** The products of a graph that can be quantised, in its order. */
export async function productsOf(graphFile: string): Promise<readonly ProductFacts[]> {
  const { nodes, reading } = readGraph([...fieldsOf(graphOf(await readFile(graphFile)))]);
  return nodes.flatMap((node) => {
    const product = reading.product(node);
    return product === undefined ? [] : [factsOf(product)];
  });
}

/**
 * Writes the quantised form of a graph: `graph.onnx`, with its weights in `graph.data` beside it. Weights are
 * read and written some rows at a time; the largest matrix is in memory as int8.
 *
 * @param folder an existing folder
 * @throws PlimsollError MODEL_UNUSABLE if the graph is older than opset 11, or its weights cannot be read.
 */
export async function quantisePerToken(
  source: GraphSource,
  folder: string,
  options: PerTokenOptions = {},
): Promise<QuantisedGraph> {
  const model = await readFile(source.graphFile);
  const opset = opsetOf(model);
  if (opset < LEAST_OPSET) {
    throw new PlimsollError(
      'MODEL_UNUSABLE',
      `the graph has opset ${opset}; opset ${LEAST_OPSET} is needed to quantise it`,
    );
  }
  const graph = [...fieldsOf(graphOf(model))];
  const { nodes, tensors, reading } = readGraph(graph);
  const data = await DataFile.create(folder, QUANTISED_DATA);
  try {
    const writer = new PerTokenGraph(source.dataFolder, data, opset, options);
    for (const node of withoutIdle(nodes, reading, options)) await writer.take(node, reading);
    for (const tensor of tensors.values()) await writer.keep(tensor);
    const rest = graph.filter(({ number }) => number !== 1 && number !== 5).map(({ raw }) => raw);
    const parts = withGraph(model, () => [...rest, ...writer.nodes, ...writer.initializers]);
    await writeFile(path.join(folder, QUANTISED_GRAPH), concat(parts));
    return { products: writer.products, dataBytes: data.bytes };
  } finally {
    await data.close();
  }
}

function readGraph(graph: readonly Field[]) {
  const nodes = graph.filter(({ number }) => number === 1).map(nodeOf);
  const list = graph.filter(({ number }) => number === 5).map(tensorOf);
  const tensors = new Map(list.map((tensor) => [tensor.name, tensor]));
  return { nodes, tensors, reading: new GraphReading(nodes, tensors) };
}

/** Without the transpositions that only quantised products read: their weights would be kept for nobody. */
function withoutIdle(
  nodes: readonly Node[],
  reading: GraphReading,
  { keep }: PerTokenOptions,
): readonly Node[] {
  const isQuantised = (node: Node) =>
    keep?.has(nameOf(node)) !== true && reading.product(node) !== undefined;
  const read = new Set(
    nodes
      .filter((node) => !isQuantised(node))
      .flatMap((node) => [...node.inputs, ...namesWithin(node)]),
  );
  return nodes.filter(
    (node) => !reading.isTurnedWeight(node) || node.outputs.some((name) => read.has(name)),
  );
}

/** ModelProto.graph (7). */
function graphOf(model: Buffer): Buffer {
  const graph = [...fieldsOf(model)].find(({ number }) => number === 7)?.value;
  if (!(graph instanceof Buffer)) throw new Error('the model has no graph');
  return graph;
}

/** ModelProto.opset_import (8), OperatorSetIdProto: domain = 1, version = 2; of the default domain. */
function opsetOf(model: Buffer): number {
  for (const { number, value } of fieldsOf(model)) {
    if (number !== 8 || !(value instanceof Buffer)) continue;
    const fields = [...fieldsOf(value)];
    if (['', 'ai.onnx'].includes(stringsOf(fields, 1)[0] ?? '')) {
      return integersOf(fields, 2)[0] ?? 0;
    }
  }
  return 0;
}
