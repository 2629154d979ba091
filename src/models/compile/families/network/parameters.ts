/** Finds a network's parameters among the tensors of a checkpoint, under the names that it uses. */
import type { Checkpoint } from '../../safetensors/checkpoint.js';
import type { StoredTensor } from '../../safetensors/reader.js';
import { WEIGHT_TYPES } from '../../safetensors/widen.js';

/** Checkpoints that were converted from TensorFlow have the norm's parameters under its names. */
const OLD_ENDINGS: readonly (readonly [string, string])[] = [
  ['LayerNorm.weight', 'LayerNorm.gamma'],
  ['LayerNorm.bias', 'LayerNorm.beta'],
];

/** A parameter that a network needs. */
export interface Needed {
  readonly name: string;
  readonly shape: readonly number[];
}

export class Parameters {
  /** All that was asked for, by name, whether it was found or not. */
  readonly needed = new Map<string, Needed>();
  /** What is missing or does not fit: all of it is told at once. */
  readonly problems: string[] = [];
  readonly #tensors: Checkpoint['tensors'];
  readonly #prefix: string;
  readonly #isBare: boolean;
  readonly #used = new Map<string, StoredTensor>();

  /** @param base name of the encoder within the whole model, such as `bert`; old checkpoints lack it */
  constructor(tensors: Checkpoint['tensors'], base: string) {
    this.#tensors = tensors;
    this.#prefix = `${base}.`;
    this.#isBare = ![...tensors.keys()].some((name) => name.startsWith(this.#prefix));
  }

  /** The tensors that were asked for. */
  get used(): readonly StoredTensor[] {
    return [...this.#used.values()];
  }

  /**
   * The tensor of that name and shape. Where it is not as it must be, this is a problem, and undefined.
   *
   * @param name as the model's class has it today
   */
  find(name: string, shape: readonly number[]): StoredTensor | undefined {
    this.needed.set(name, { name, shape });
    const tensor = this.#namesOf(name)
      .map((candidate) => this.#tensors.get(candidate))
      .find((candidate) => candidate !== undefined);
    const problem = problemOf(name, shape, tensor);
    if (tensor === undefined || problem !== undefined) {
      if (problem !== undefined && !this.problems.includes(problem)) this.problems.push(problem);
      return undefined;
    }
    this.#used.set(tensor.name, tensor);
    return tensor;
  }

  #namesOf(name: string): readonly string[] {
    const old = OLD_ENDINGS.flatMap(([ending, before]) =>
      name.endsWith(ending) ? [`${name.slice(0, -ending.length)}${before}`] : [],
    );
    const names = [name, ...old];
    if (!this.#isBare) return names;
    return names.map((full) =>
      full.startsWith(this.#prefix) ? full.slice(this.#prefix.length) : full,
    );
  }
}

function problemOf(
  name: string,
  shape: readonly number[],
  tensor: StoredTensor | undefined,
): string | undefined {
  if (tensor === undefined) return `${name} is missing`;
  const isSame =
    tensor.shape.length === shape.length && shape.every((n, at) => n === tensor.shape[at]);
  if (!isSame) return `${name} is [${tensor.shape.join(', ')}], not [${shape.join(', ')}]`;
  if (WEIGHT_TYPES.includes(tensor.dtype)) return undefined;
  return `${name} is of type ${tensor.dtype}, not ${WEIGHT_TYPES.join(', ')}`;
}
