/** A network under description: operators with names by the module that they belong to, and parameters. */
import type { GraphBuilder } from '../../onnx/graph-builder.js';
import type { AttributeValue } from '../../onnx/messages.js';
import type { StoredTensor } from '../../safetensors/reader.js';
import type { Parameters } from './parameters.js';

/** Name of a value in the graph. */
export type Value = string;

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Where a module's parameters and operators get their names: `bert.encoder.layer.0`. */
export class Module {
  readonly path: string;
  readonly #network: Network;

  constructor(network: Network, path: string) {
    this.#network = network;
    this.path = path;
  }

  /** A module within this one. */
  at(name: string | number): Module {
    return new Module(this.#network, this.path === '' ? String(name) : `${this.path}.${name}`);
  }

  /** A parameter of this module, such as its `weight`. */
  parameter(name: string, shape: readonly number[]): Value {
    return this.#network.parameter(this.path === '' ? name : `${this.path}.${name}`, shape);
  }

  /** Adds an operator and returns its (first) output. */
  apply(operator: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.#network.apply(this.path, operator, inputs, attributes);
  }

  /** Adds an operator with several outputs. */
  applyMany(
    operator: string,
    inputs: readonly Value[],
    outputs: number,
    attributes: Attributes = {},
  ): readonly Value[] {
    return this.#network.applyMany(this.path, operator, inputs, outputs, attributes);
  }

  /** A value that is computed once for the whole network, however often it is asked for. */
  once(key: string, compute: (module: Module) => Value): Value {
    return this.#network.once(key, compute);
  }

  get graph(): GraphBuilder {
    return this.#network.graph;
  }

  /** The model's input of that name; it becomes one when it is first asked for. */
  input(name: InputName): Value {
    return this.#network.input(name);
  }
}

export type InputName = 'input_ids' | 'attention_mask' | 'token_type_ids';

export class Network {
  readonly graph: GraphBuilder;
  /** Inputs that the network reads, in the order in which it asked for them. */
  readonly inputs = new Set<InputName>();
  /** The tensors behind the graph's initializers, by the initializers' names. */
  readonly tensors = new Map<string, StoredTensor>();
  readonly #parameters: Parameters;
  readonly #counts = new Map<string, number>();
  readonly #once = new Map<string, Value>();

  constructor(graph: GraphBuilder, parameters: Parameters) {
    this.graph = graph;
    this.#parameters = parameters;
  }

  /** The module that holds all others. */
  get root(): Module {
    return new Module(this, '');
  }

  parameter(name: string, shape: readonly number[]): Value {
    const tensor = this.#parameters.find(name, shape);
    // Its place in a file is known when all of them are: see compile-safetensors.ts.
    if (tensor !== undefined) this.tensors.set(name, tensor);
    return name;
  }

  apply(path: string, operator: string, inputs: readonly Value[], attributes: Attributes): Value {
    return this.graph.node(operator, this.#nameOf(path, operator), inputs, attributes);
  }

  applyMany(
    path: string,
    operator: string,
    inputs: readonly Value[],
    outputs: number,
    attributes: Attributes,
  ): readonly Value[] {
    const name = this.#nameOf(path, operator);
    const names = Array.from({ length: outputs }, (_, index) => `${name}_output_${index}`);
    this.graph.nodes.push({ operator, name, inputs, output: names, attributes });
    return names;
  }

  once(key: string, compute: (module: Module) => Value): Value {
    const known = this.#once.get(key);
    if (known !== undefined) return known;
    const value = compute(this.root.at(key));
    this.#once.set(key, value);
    return value;
  }

  input(name: InputName): Value {
    this.inputs.add(name);
    return name;
  }

  /** `/bert/encoder/layer.0/output/MatMul`, as exports from PyTorch name operators. */
  #nameOf(path: string, operator: string): string {
    const module = path === '' ? '' : `/${path.replaceAll('.', '/').replaceAll(/\/(\d+)/g, '.$1')}`;
    const name = `${module}/${operator}`;
    const count = this.#counts.get(name) ?? 0;
    this.#counts.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }
}
