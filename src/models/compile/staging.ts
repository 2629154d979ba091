import { constants } from 'node:fs';
import { copyFile, link, mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';

/**
 * ONNX Runtime follows links before it looks for a graph's external data, and refuses data that then lies in another
 * folder than the graph, as it does in Hugging Face's cache. Such a model is put together in a folder of its own, of
 * hard links; across file systems, of copies.
 *
 * @param weights the graph and its external data, below `directory`, the graph first
 * @param stage an empty folder for it, on the file system of the mapped forms
 * @returns the graph to open: the model's own where nothing had to be done
 */
export async function stagedGraph(
  directory: string,
  weights: readonly string[],
  stage: string,
): Promise<string> {
  const [graph = ''] = weights;
  const source = path.join(directory, graph);
  const real = await Promise.all(weights.map((file) => realpath(path.join(directory, file))));
  const home = path.dirname(real[0] ?? source);
  const isAtHome = weights.every((file, at) => {
    const expected = path.join(home, path.relative(path.dirname(graph), file));
    return at === 0 || real[at] === expected;
  });
  if (isAtHome) return source;
  for (const [at, file] of weights.entries()) {
    const place = path.join(stage, path.relative(path.dirname(graph), file));
    await mkdir(path.dirname(place), { recursive: true });
    await linkOrCopy(real[at] ?? '', place);
  }
  return path.join(stage, path.basename(graph));
}

async function linkOrCopy(source: string, place: string): Promise<void> {
  try {
    await link(source, place);
  } catch {
    // Another file system, one without hard links, or a file of another user.
    await copyFile(source, place, constants.COPYFILE_FICLONE);
  }
}
