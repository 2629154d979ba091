/** Writes the ONNX graph of a model whose weights are safetensors. The weights stay where they are, if they can. */
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError } from '../../errors.js';
import { type JsonObject, readJson } from '../intake/folder/json.js';
import { OVERRIDES_FILE } from '../intake/reading/overrides.js';
import { describeNetwork } from './families/describe.js';
import type { HeadTask } from './families/network/family.js';
import { pickFamily } from './families/pick.js';
import type { FileRange, ValueDescription } from './onnx/messages.js';
import { encodeModel } from './onnx/model-file.js';
import { openCheckpoint } from './safetensors/checkpoint.js';
import type { StoredTensor } from './safetensors/reader.js';
import { writeWidened } from './safetensors/widen.js';

const PRODUCER = 'plimsoll';
const GRAPH = 'graph.onnx';
const WIDENED = 'weights.f32';
const FLOAT_BYTES = 4;
/** Problems that a message lists; the others are counted. */
const MAX_TOLD = 12;

const REMEDY =
  'Fetch both again; if they are as they were published, save them with transformers (from_pretrained(FOLDER).save_pretrained(FOLDER)), or export a graph: optimum-cli export onnx --model FOLDER FOLDER/onnx';

/** A graph that ONNX Runtime can open, and optimise into the mapped form. */
export interface RawGraph {
  readonly graphFile: string;
  /** Folder that the graph's external data is relative to: tell ONNX Runtime when it opens the graph. */
  readonly dataFolder: string;
  /** The family, as people call it. */
  readonly family: string;
  /** What the head gives logits for. */
  readonly task: HeadTask;
  readonly labels: number;
  /** Files of the model's folder that it was made from, config.json aside. */
  readonly files: readonly string[];
  /** Size of the weights that the graph uses, in float32. */
  readonly weightBytes: number;
  /** Size of the temporary file with widened weights in the work folder; 0 where none was needed. */
  readonly widenedBytes: number;
}

/**
 * Describes the model of a folder in Hugging Face layout (`config.json`, `model.safetensors` or shards) as an ONNX
 * graph: inputs `input_ids`, `attention_mask` and, where the model has token types, `token_type_ids`, int64
 * [batch, sequence]; output `logits`, float32 [batch, labels] or, for token classification, [batch, sequence, labels].
 *
 * Memory: the header and one chunk of weights at a time.
 *
 * @param workFolder where the graph is written, and widened weights if need be; created when missing
 * @param fallback the task where config.json names no class
 * @throws PlimsollError MODEL_UNUSABLE with everything that is missing or does not fit
 */
export async function compileSafetensors(
  folder: string,
  workFolder: string,
  fallback: HeadTask = 'sequence',
): Promise<RawGraph> {
  const values = await configOf(folder);
  // An unknown family is said before its weights are looked for.
  pickFamily(values, fallback);
  const checkpoint = await openCheckpoint(folder);
  const described = describeNetwork(values, checkpoint.tensors, fallback);
  const { family, task, labels, network, parameters } = described;
  // Sizes that are wrong make every tensor wrong: they are told first.
  refuse('config.json', described.problems, family.name);
  refuse('its weights', parameters.problems, family.name);

  await mkdir(workFolder, { recursive: true });
  const placed = await placeWeights(parameters.used, workFolder);
  for (const [name, tensor] of network.tensors) {
    const range = placed.ranges.get(tensor);
    if (range !== undefined) network.graph.external(name, tensor.shape, range);
  }
  network.graph.node('Identity', '/logits', [described.logits], {}, 'logits');
  const rows = ['batch', 'sequence'];
  const graphFile = path.join(workFolder, GRAPH);
  const input = (name: string): ValueDescription => ({ name, type: 'int64', shape: rows });
  const model = encodeModel({
    name: family.base,
    producer: PRODUCER,
    graph: network.graph,
    inputs: [...network.inputs].map(input),
    outputs: [
      {
        name: 'logits',
        type: 'float',
        shape: task === 'token' ? [...rows, labels] : ['batch', labels],
      },
    ],
  });
  await writeFile(graphFile, model);
  return {
    ...{ graphFile, dataFolder: placed.folder, family: family.name, task, labels },
    ...{ files: checkpoint.files, widenedBytes: placed.widenedBytes },
    weightBytes: parameters.used.reduce((sum, { shape }) => sum + FLOAT_BYTES * product(shape), 0),
  };
}

/** `config.json`; where it says nothing of labels, with as many as the owner names in `plimsoll.json`. */
async function configOf(folder: string): Promise<JsonObject> {
  const values = await readJson(path.join(folder, 'config.json'));
  const tells = ['id2label', 'label2id', 'num_labels'].some((key) => values[key] !== undefined);
  if (tells) return values;
  const { labels } = await readJson(path.join(folder, OVERRIDES_FILE), { optional: true });
  return Array.isArray(labels) ? { ...values, num_labels: labels.length } : values;
}

interface PlacedWeights {
  readonly folder: string;
  readonly ranges: ReadonlyMap<StoredTensor, FileRange>;
  readonly widenedBytes: number;
}

/**
 * 1. Weights that are float32, aligned, and in files of one folder are used where they lie.
 * 2. Otherwise all of them are written into one file of the work folder, as float32.
 *
 * Links are followed first: a hub's cache has them, and ONNX Runtime opens no file outside of the folder.
 */
async function placeWeights(
  tensors: readonly StoredTensor[],
  workFolder: string,
): Promise<PlacedWeights> {
  const paths = new Map<string, string>();
  for (const file of new Set(tensors.map((tensor) => tensor.file))) {
    paths.set(file, await realpath(file));
  }
  const folders = new Set([...paths.values()].map((file) => path.dirname(file)));
  const [folder = workFolder] = folders;
  const usable = tensors.every(
    ({ dtype, offset }) => dtype === 'F32' && offset % FLOAT_BYTES === 0,
  );
  if (usable && folders.size === 1) {
    const place = ({ file, offset, bytes }: StoredTensor): FileRange => {
      return { file: path.basename(paths.get(file) ?? file), offset, length: bytes };
    };
    const ranges = new Map(tensors.map((tensor) => [tensor, place(tensor)]));
    return { folder, ranges, widenedBytes: 0 };
  }
  const places = await writeWidened(tensors, path.join(workFolder, WIDENED));
  const ranges = new Map<StoredTensor, FileRange>();
  let widenedBytes = 0;
  for (const tensor of tensors) {
    const place = places.get(tensor.name);
    if (place === undefined) continue;
    ranges.set(tensor, { file: WIDENED, ...place });
    widenedBytes = Math.max(widenedBytes, place.offset + place.length);
  }
  return { folder: workFolder, ranges, widenedBytes };
}

function refuse(what: string, problems: readonly string[], family: string): void {
  if (problems.length === 0) return;
  const told = problems.slice(0, MAX_TOLD).join('; ');
  const more = problems.length > MAX_TOLD ? `; and ${problems.length - MAX_TOLD} more` : '';
  throw new PlimsollError(
    'MODEL_UNUSABLE',
    `${`${what} cannot be used as ${family}: ${told}${more}`.slice(0, 1800)}. ${REMEDY}`,
  );
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, size) => all * size, 1);
}
