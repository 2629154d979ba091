/** Describes a model as a network, by its config.json and the tensors that it has. */
import type { JsonObject } from '../../intake/folder/json.js';
import { GraphBuilder } from '../onnx/graph-builder.js';
import type { Checkpoint } from '../safetensors/checkpoint.js';
import { Config } from './network/config.js';
import type { Family, HeadTask } from './network/family.js';
import { Network, type Value } from './network/network.js';
import { type Needed, Parameters } from './network/parameters.js';
import { refuseVariants } from './network/sizes.js';
import { pickFamily } from './pick.js';

export interface DescribedNetwork {
  readonly family: Family;
  readonly task: HeadTask;
  readonly labels: number;
  readonly network: Network;
  /** The network's output. */
  readonly logits: Value;
  readonly parameters: Parameters;
  /** What config.json says wrong. Where it does, the rest of the description means nothing. */
  readonly problems: readonly string[];
}

/**
 * @param fallback the task where config.json names no class
 * @throws PlimsollError MODEL_UNUSABLE if the model is of no known family, or has no head for a task
 */
export function describeNetwork(
  values: JsonObject,
  tensors: Checkpoint['tensors'],
  fallback: HeadTask = 'sequence',
): DescribedNetwork {
  const { family, task } = pickFamily(values, fallback);
  const config = new Config(values);
  const parameters = new Parameters(tensors, family.base);
  const network = new Network(new GraphBuilder(), parameters);
  refuseVariants(config);
  const logits = family.describe(network.root, config, task);
  const labels = config.labels();
  return { family, task, labels, network, logits, parameters, problems: config.problems };
}

/** The tensors that a checkpoint of such a model holds, under today's names. */
export function neededTensors(values: JsonObject): readonly Needed[] {
  return [...describeNetwork(values, new Map()).parameters.needed.values()];
}
