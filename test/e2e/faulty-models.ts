/** Models that ask much of a server, with small graphs of their own and the bundled model's tokenizer. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraphBuilder } from '../../src/models/compile/onnx/graph-builder.js';
import {
  graphNameField,
  initializerHeader,
  modelHeader,
  nodeField,
  type ValueDescription,
  valueField,
} from '../../src/models/compile/onnx/messages.js';
import {
  concat,
  integerField,
  messageField,
  stringField,
  totalBytes,
} from '../../src/models/compile/onnx/protobuf-writer.js';
import { SPAM } from './texts.js';

const INPUTS: readonly ValueDescription[] = [
  { name: 'input_ids', type: 'int64', shape: ['batch', 'length'] },
];
/** Texts that have this word set off what the model does wrong; it is in the tokenizer's vocabulary. */
export const TRIGGER = 'viagra';
const VERY_OFTEN = 1e15;

interface Loop {
  /** What the body makes of its state in every turn. */
  readonly operator: 'Add' | 'Concat';
  readonly attributes: Readonly<Record<string, number>>;
  readonly operand: string;
}

/** A classifier of so many labels: their scores follow from the mean of the token ids. */
export async function writeManyLabels(models: string, id: string, labels: number): Promise<void> {
  const graph = new GraphBuilder();
  const weights = Float32Array.from(
    { length: labels },
    (_, n) => ((n * 7919) % labels) / labels / 1000,
  );
  classify(graph, weights);
  await write(models, id, labels, [...fieldsOf(graph), ...outputOf(labels)]);
}

/** A classifier whose graph runs for ever on texts with the trigger. */
export function writeEndless(models: string, id: string): Promise<void> {
  return writeLooping(models, id, (graph) => ({
    operator: 'Add',
    attributes: {},
    operand: graph.floats('one', [1], Float32Array.of(1)),
  }));
}

/** A classifier that takes 16 MB more in every turn of a loop on texts with the trigger. */
export function writeGrowing(models: string, id: string): Promise<void> {
  return writeLooping(models, id, (graph) => ({
    operator: 'Concat',
    attributes: { axis: 0 },
    operand: graph.node('Expand', 'chunk', [graph.scalar(0), graph.integers(4 * 2 ** 20)]),
  }));
}

async function writeLooping(
  models: string,
  id: string,
  loopOf: (graph: GraphBuilder) => Loop,
): Promise<void> {
  const graph = new GraphBuilder();
  const logits = classify(graph, Float32Array.of(0.001, -0.001), 'plain_logits');
  const isTrigger = graph.node('Equal', 'is_trigger', [
    'input_ids',
    graph.integer(await triggerId()),
  ]);
  const found = graph.node('Cast', 'found', [isTrigger], { to: 7 });
  const any = graph.node('ReduceMax', 'any', [found], { keepdims: 0 });
  const turns = graph.node('Mul', 'turns', [any, graph.integer(VERY_OFTEN)]);
  const loop = loopOf(graph);
  const start = graph.floats('start', [1], Float32Array.of(0));
  const before = fieldsOf(graph);
  const after = new GraphBuilder();
  const sum = after.node('ReduceMin', 'sum', ['looped'], { keepdims: 0 });
  const nothing = after.node('Mul', 'nothing', [sum, after.scalar(0)]);
  after.node('Add', 'classify', [logits, nothing], {}, 'logits');
  const fields = [...before, loopField(turns, start, loop), ...fieldsOf(after), ...outputOf(2)];
  await write(models, id, 2, fields);
}

function classify(graph: GraphBuilder, weights: Float32Array, output = 'logits'): string {
  const ids = graph.node('Cast', 'ids', ['input_ids'], { to: 1 });
  const mean = graph.node('ReduceMean', 'mean', [ids], { axes: [1], keepdims: 1 });
  const heads = graph.floats('heads', [1, weights.length], weights);
  return graph.node('MatMul', 'head', [mean, heads], {}, output);
}

/** AttributeProto: name = 1, g = 6, type = 20 (GRAPH = 5). */
function loopField(
  turns: string,
  start: string,
  { operator, attributes, operand }: Loop,
): Uint8Array {
  const state = (name: string): ValueDescription => ({ name, type: 'float', shape: ['n'] });
  const flag = (name: string): ValueDescription => ({ name, type: 'bool', shape: [] });
  const body = new GraphBuilder();
  body.node('Identity', 'go_on', ['condition'], {}, 'next_condition');
  body.node(operator, 'turn', ['state', operand], attributes, 'next_state');
  const graph = [
    graphNameField('body'),
    valueField('input', { name: 'turn_number', type: 'int64', shape: [] }),
    valueField('input', flag('condition')),
    valueField('input', state('state')),
    valueField('output', flag('next_condition')),
    valueField('output', state('next_state')),
    ...body.nodes.map((node) => nodeField(node)),
  ];
  const attribute = [stringField(1, 'body'), messageField(6, graph), integerField(20, 5)];
  const node = {
    ...{ operator: 'Loop', name: 'loop', output: 'looped', attributes: {} },
    inputs: [turns, '', start],
  };
  return nodeField(node, [messageField(5, attribute)]);
}

function fieldsOf(graph: GraphBuilder): readonly Uint8Array[] {
  return [
    ...graph.nodes.map((node) => nodeField(node)),
    ...graph.initializers.flatMap(({ name, type, shape, source }) =>
      source.kind === 'bytes'
        ? [initializerHeader(name, type, shape, source.bytes.byteLength), source.bytes]
        : [],
    ),
  ];
}

function outputOf(labels: number): readonly Uint8Array[] {
  return [valueField('output', { name: 'logits', type: 'float', shape: ['batch', labels] })];
}

async function write(
  models: string,
  id: string,
  labels: number,
  fields: readonly Uint8Array[],
): Promise<void> {
  const folder = path.join(models, id);
  await mkdir(path.join(folder, 'onnx'), { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(path.join(SPAM, file), path.join(folder, file));
  }
  const config = JSON.parse(await readFile(path.join(SPAM, 'config.json'), 'utf8')) as object;
  const names = Array.from({ length: labels }, (_, n) => [n, `label ${n}`] as const);
  const id2label = Object.fromEntries(names);
  const label2id = Object.fromEntries(names.map(([n, name]) => [name, n]));
  await writeFile(
    path.join(folder, 'config.json'),
    JSON.stringify({ ...config, id2label, label2id }),
  );
  const graph = [
    graphNameField(id),
    ...INPUTS.map((value) => valueField('input', value)),
    ...fields,
  ];
  const model = concat([modelHeader('plimsoll tests', totalBytes(graph)), ...graph]);
  await writeFile(path.join(folder, 'onnx', 'model.onnx'), model);
}

async function triggerId(): Promise<number> {
  const text = await readFile(path.join(SPAM, 'tokenizer.json'), 'utf8');
  const { model } = JSON.parse(text) as { readonly model: { readonly vocab: unknown } };
  const id = (model.vocab as Readonly<Record<string, number>>)[TRIGGER];
  if (id === undefined) throw new Error(`the vocabulary has no "${TRIGGER}"`);
  return id;
}
