/** The body of an inference request: JSON, and behind it the bytes of those inputs that are not in it. Pure. */
import { PlimsollError } from '../../../../errors.js';
import { integersIn, textsIn } from './binary-data.js';
import {
  elementsOf,
  type InputDatatype,
  type InputTensor,
  invalid,
  NotSupported,
  shapeOf,
  shown,
} from './datatypes.js';
import { flatOf, integersOf, textsOf } from './json-data.js';

/** An output that the caller asks for. */
export interface WantedOutput {
  readonly name: string;
  readonly isBinary: boolean;
  /** How many classes are wanted in place of the numbers; undefined: the numbers. */
  readonly classes: number | undefined;
}

export interface InferRequest {
  readonly id: string | undefined;
  readonly parameters: JsonObject;
  readonly inputs: readonly InputTensor[];
  /** Undefined: all that there are. */
  readonly outputs: readonly WantedOutput[] | undefined;
  /** For outputs that were not named one by one. */
  readonly isBinary: boolean;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Which datatypes an input may have, by its name. */
export type KnownInputs = Readonly<Record<string, readonly InputDatatype[]>>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request.
 *
 * 1. The JSON part: all of the body, or as much as `Inference-Header-Content-Length` says.
 * 2. Inputs, each known, once, and with as many elements as its shape says; those in bytes one behind the other.
 * 3. No bytes are left over.
 *
 * @param header `Inference-Header-Content-Length`, if it was sent.
 * @throws PlimsollError INVALID_REQUEST, MALFORMED_JSON; NotSupported
 */
export function readRequest(
  body: Buffer,
  header: string | undefined,
  known: KnownInputs,
): InferRequest {
  const jsonBytes = header === undefined ? body.length : jsonLength(header, body.length);
  const json = parsed(body.subarray(0, jsonBytes)); // 1
  const parameters = parametersOf(json, 'the request');
  const rest = new Rest(body.subarray(jsonBytes), header !== undefined);
  const inputs = listOf(json.inputs, 'inputs').map((input, index) =>
    readInput(input, `inputs[${index}]`, known, rest),
  ); // 2
  if (inputs.length === 0) throw invalid('inputs is empty');
  refuseTwins(inputs, 'inputs');
  rest.expectEnd(); // 3
  const id = json.id ?? undefined;
  if (id !== undefined && typeof id !== 'string') throw invalid('id is not a text');
  const isBinary = flagOf(parameters, 'binary_data_output', 'the request') ?? false;
  const wanted = json.outputs ?? undefined;
  const outputs = wanted === undefined ? undefined : wantedOf(wanted, isBinary);
  return { id, parameters, inputs, outputs, isBinary };
}

function jsonLength(header: string, bodyBytes: number): number {
  if (!/^\d{1,15}$/.test(header)) {
    throw invalid(`Inference-Header-Content-Length is ${shown(header)}, not a number of bytes`);
  }
  const length = Number(header);
  if (length === 0) {
    throw new NotSupported('a request of bytes alone is not supported: describe them in JSON');
  }
  if (length > bodyBytes) {
    throw invalid(
      `Inference-Header-Content-Length is ${length}, and the body has ${bodyBytes} bytes`,
    );
  }
  return length;
}

/** The JSON object in these bytes. @throws PlimsollError MALFORMED_JSON, INVALID_REQUEST */
export function parsed(bytes: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    throw new PlimsollError('MALFORMED_JSON', 'the request is not JSON');
  }
  if (!isObject(value)) throw invalid('the request is not an object');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw invalid(value === undefined ? `${name} is missing` : `${name} is not a list`);
}

/** Without those that are null: generated clients write null for what they leave open. */
function parametersOf(of: JsonObject, what: string): JsonObject {
  const parameters = of.parameters ?? {};
  if (!isObject(parameters)) throw invalid(`parameters of ${what} is not an object`);
  if (!Object.values(parameters).includes(null)) return parameters;
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== null));
}

function flagOf(parameters: JsonObject, name: string, what: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`${name} of ${what} is ${shown(value)}, not true or false`);
}

function refuseTwins(items: readonly { readonly name: string }[], list: string): void {
  const names = new Set<string>();
  for (const { name } of items) {
    if (names.has(name)) throw invalid(`${list} has ${name} twice`);
    names.add(name);
  }
}

/** The bytes behind the JSON part; each input in bytes takes its share. */
class Rest {
  readonly #bytes: Buffer;
  readonly #isAnnounced: boolean;
  #at = 0;

  constructor(bytes: Buffer, isAnnounced: boolean) {
    this.#bytes = bytes;
    this.#isAnnounced = isAnnounced;
  }

  take(size: number, what: string): Buffer {
    if (!this.#isAnnounced) {
      throw invalid(`${what} has binary_data_size; then Inference-Header-Content-Length is needed`);
    }
    const left = this.#bytes.length - this.#at;
    if (size > left) throw invalid(`${what} has ${size} bytes, and ${left} are left in the body`);
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  expectEnd(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw invalid(`the body has ${left} bytes behind its last input`);
  }
}

/** The elements of an input stand in the JSON (`data`), or behind it (`binary_data_size`). */
function readInput(value: unknown, place: string, known: KnownInputs, rest: Rest): InputTensor {
  if (!isObject(value)) throw invalid(`${place} is not an object`);
  const { name } = value;
  const data = value.data ?? undefined;
  if (typeof name !== 'string') throw invalid(`${place} has no name`);
  const datatype = datatypeOf(name, value.datatype, known);
  const parameters = parametersOf(value, name);
  refuseSharedMemory(parameters, name);
  const shape = shapeOf(value.shape, name);
  const size = parameters.binary_data_size;
  if (size === undefined) {
    const flat = flatOf(data, shape, name);
    return datatype === 'BYTES'
      ? { name, shape, datatype, texts: textsOf(flat, name) }
      : { name, shape, datatype, integers: integersOf(flat, name) };
  }
  if (data !== undefined) throw invalid(`${name} has both data and binary_data_size`);
  if (!Number.isSafeInteger(size) || Number(size) < 0) {
    throw invalid(`binary_data_size of ${name} is ${shown(size)}, not a number of bytes`);
  }
  const bytes = rest.take(Number(size), name);
  const count = elementsOf(shape);
  return datatype === 'BYTES'
    ? { name, shape, datatype, texts: textsIn(bytes, count, name) }
    : { name, shape, datatype, integers: integersIn(bytes, count, datatype, name) };
}

function datatypeOf(name: string, datatype: unknown, known: KnownInputs): InputDatatype {
  if (!Object.hasOwn(known, name)) {
    const names = Object.keys(known).join(', ');
    throw invalid(`there is no input ${shown(name)}; inputs are ${names}`);
  }
  const allowed = known[name] ?? [];
  const found = allowed.find((one) => one === datatype);
  if (found !== undefined) return found;
  throw invalid(`${name} has the datatype ${shown(datatype)}; it takes ${allowed.join(' or ')}`);
}

function refuseSharedMemory(parameters: JsonObject, what: string): void {
  if (parameters.shared_memory_region === undefined) return;
  throw new NotSupported(`shared memory is not supported: send the data of ${what} in the body`);
}

function wantedOf(value: unknown, isBinary: boolean): readonly WantedOutput[] {
  const wanted = listOf(value, 'outputs').map((output, index) => {
    if (!isObject(output)) throw invalid(`outputs[${index}] is not an object`);
    const { name } = output;
    if (typeof name !== 'string') throw invalid(`outputs[${index}] has no name`);
    const parameters = parametersOf(output, name);
    refuseSharedMemory(parameters, name);
    const own = flagOf(parameters, 'binary_data', name);
    return { name, isBinary: own ?? isBinary, classes: classesOf(parameters, name) };
  });
  refuseTwins(wanted, 'outputs');
  return wanted;
}

/** 0 stands for the numbers themselves, as some clients send it. */
function classesOf({ classification: value }: JsonObject, name: string): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isSafeInteger(value) && Number(value) > 0) return Number(value);
  throw invalid(`classification of ${name} is ${shown(value)}, not a number of classes`);
}
