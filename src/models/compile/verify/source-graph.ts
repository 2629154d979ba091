/** From a model's files to a graph that ONNX Runtime can open, and from such a graph to a mapped one. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../../errors.js';
import { type OptimisationLevel, writeMappedGraph } from '../../run/onnx-session.js';
import { compileSafetensors } from '../compile-safetensors.js';
import { syncFile } from '../forms/written-files.js';
import { alignWeights } from '../mend/aligned-weights.js';
import { withoutRepeatedConstants } from '../mend/repeated-constants.js';
import { stagedGraph } from '../staging.js';

/** A graph as it is before ONNX Runtime optimises it. */
export interface SourceGraph {
  readonly graphFile: string;
  /** Folder of its external data. */
  readonly dataFolder: string;
  /** Whether the graph lies elsewhere than its data. */
  readonly isApart: boolean;
  /** Bytes of a checkpoint's weights as float32; undefined for a graph of the folder. */
  readonly float32Bytes?: number;
}

/**
 * The model's own graph, or one that is written for its safetensors.
 *
 * @param weights the graph or checkpoint first, below `source`
 * @param stage an existing folder for what has to be written
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function sourceGraph(
  source: string,
  weights: readonly string[],
  stage: string,
): Promise<SourceGraph> {
  if (weights[0]?.endsWith('.onnx') === true) {
    const graphFile = await stagedGraph(source, weights, stage);
    return { graphFile, dataFolder: path.dirname(graphFile), isApart: false };
  }
  const { graphFile, dataFolder, weightBytes } = await compileSafetensors(source, stage);
  return { graphFile, dataFolder, isApart: true, float32Bytes: weightBytes };
}

/** Writes the mapped form of a graph, and waits until it is on disk. @throws PlimsollError MODEL_UNUSABLE */
export async function writeMapped(
  { graphFile, dataFolder, isApart }: SourceGraph,
  mappedGraph: string,
  weightsFile: string,
  level?: OptimisationLevel,
): Promise<void> {
  const apart = isApart ? dataFolder : undefined;
  await writeMappedGraph(graphFile, mappedGraph, weightsFile, apart, level);
  await mendSubgraphs(mappedGraph);
  await alignWeights(mappedGraph, weightsFile);
  await syncFile(mappedGraph);
  await syncFile(path.join(path.dirname(mappedGraph), weightsFile)).catch((error: unknown) => {
    // A graph whose weights are all small has no weights file.
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
}

async function mendSubgraphs(graphFile: string): Promise<void> {
  const mended = withoutRepeatedConstants(await readFile(graphFile));
  if (mended === undefined) return;
  const beside = `${graphFile}.mended`;
  await writeFile(beside, Buffer.concat(mended));
  await rename(beside, graphFile);
}
