/** The weights of a model: which files hold them, and whether they are there. */
import path from 'node:path';
import { PlimsollError } from '../../errors.js';
import type { LeftOut } from './broken.js';
import type { Decision } from './description.js';
import type { FolderContents } from './folder/contents.js';
import { isLfsPointer, lfsReason } from './folder/lfs.js';
import type { GraphFile } from './graph/choose.js';

const SAFETENSORS = '.safetensors';
const SHARD_INDEX = '.safetensors.index.json';

/** The checkpoint beside config.json: one file, or the index of its shards; undefined if there is none. */
export function checkpointOf({ files, safetensors }: FolderContents): string | undefined {
  const whole = `model${SAFETENSORS}`;
  if (safetensors.includes(whole)) return whole;
  return files.find((file) => file === `model${SHARD_INDEX}`);
}

/**
 * The files of external data, as the graph names them.
 *
 * @throws PlimsollError MODEL_UNUSABLE if one leads out of the folder
 */
export function externalFiles(
  { safetensors }: FolderContents,
  { file, facts }: GraphFile,
): readonly string[] {
  const folder = path.dirname(file);
  if (file.endsWith(SAFETENSORS) || file.endsWith(SHARD_INDEX)) {
    if (file.endsWith(SAFETENSORS)) return [];
    // Those of the index: other weights may lie beside them.
    return safetensors.filter((each) => each.startsWith('model-') && !each.includes('/'));
  }
  return (facts?.externalFiles ?? []).map((location) => {
    const place = path.join(folder, location);
    if (path.isAbsolute(location) || place.startsWith('..')) {
      const reason = `${file} keeps weights outside of the model's folder, which is not allowed`;
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
    return place;
  });
}

export function leftOutDecision({ file, reason }: LeftOut): Decision {
  return { about: 'graph left out', value: file, from: reason };
}

/** Why a graph cannot be read: a download that broke off, a page of a web server, an empty file. */
export function unreadable({ file, bytes, problem }: GraphFile): string {
  return `${file} (${bytes} bytes) cannot be read as an ONNX graph: ${problem ?? 'it is no ONNX model'}`;
}

/** Which of a graph's weights are not there; undefined if all are. */
export async function lackOf(
  contents: FolderContents,
  graph: GraphFile,
): Promise<LeftOut | string | undefined> {
  const { file } = graph;
  const needed = externalFiles(contents, graph);
  const lacks = needed.filter((each) => !contents.files.includes(each));
  if (lacks.length > 0) {
    const reason = `${lacks.slice(0, 3).join(', ')} cannot be used: it is missing, and ${file} keeps its weights there`;
    return { file, reason, lacks };
  }
  for (const each of needed) {
    if (await isLfsPointer(path.join(contents.directory, each))) return lfsReason(each);
  }
  return undefined;
}
