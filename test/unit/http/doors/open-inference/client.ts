/** A client of the protocol: it writes requests and reads replies as the specification says, by its own code. */

/** An input with its elements, row by row. */
export interface ClientTensor {
  readonly name: string;
  readonly datatype: 'BYTES' | 'INT64' | 'INT32';
  readonly shape: readonly number[];
  readonly elements: readonly (string | number)[];
}

export interface ClientReply {
  readonly json: {
    readonly model_name: string;
    readonly model_version: string;
    readonly id?: string;
    readonly outputs: readonly {
      readonly name: string;
      readonly datatype: string;
      readonly shape: readonly number[];
      readonly data?: readonly unknown[];
      readonly parameters?: { readonly binary_data_size: number };
    }[];
  };
  /** The elements of an output, from the JSON or from the bytes behind it. */
  readonly elements: (name: string) => readonly unknown[];
}

function bytesOf({ datatype, elements }: ClientTensor): Buffer {
  const chunks = elements.map((element) => {
    if (datatype === 'BYTES') {
      const text = Buffer.from(String(element));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      return Buffer.concat([length, text]);
    }
    const bytes = Buffer.alloc(datatype === 'INT64' ? 8 : 4);
    if (datatype === 'INT64') bytes.writeBigInt64LE(BigInt(element));
    else bytes.writeInt32LE(Number(element));
    return bytes;
  });
  return Buffer.concat(chunks);
}

/** The elements as lists in lists, as the shape says. */
function nested(elements: readonly unknown[], shape: readonly number[]): readonly unknown[] {
  const [size = 0, ...rest] = shape;
  if (rest.length === 0) return elements;
  const each = size === 0 ? 0 : elements.length / size;
  return Array.from({ length: size }, (_, at) =>
    nested(elements.slice(at * each, (at + 1) * each), rest),
  );
}

/** How an input is sent. */
export type Way = 'flat' | 'nested' | 'binary';

/** A body, and what its header `Inference-Header-Content-Length` is. */
export function bodyOf(
  inputs: readonly (readonly [ClientTensor, Way])[],
  fields: Readonly<Record<string, unknown>> = {},
): { readonly body: Buffer; readonly header: string | undefined } {
  const chunks: Buffer[] = [];
  const shown = inputs.map(([tensor, way]) => {
    const { name, datatype, shape, elements } = tensor;
    if (way === 'flat') return { name, datatype, shape, data: elements };
    if (way === 'nested') return { name, datatype, shape, data: nested(elements, shape) };
    const bytes = bytesOf(tensor);
    chunks.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  });
  const json = Buffer.from(JSON.stringify({ ...fields, inputs: shown }));
  const header = chunks.length === 0 ? undefined : String(json.length);
  return { body: Buffer.concat([json, ...chunks]), header };
}

/** Reads a reply. @param jsonBytes `Inference-Header-Content-Length`; undefined if all of it is JSON. */
export function readReply(body: Buffer, jsonBytes: number | undefined): ClientReply {
  const head = jsonBytes ?? body.length;
  const json = JSON.parse(body.subarray(0, head).toString()) as ClientReply['json'];
  const found = new Map<string, readonly unknown[]>();
  let at = head;
  for (const { name, datatype, data, parameters } of json.outputs) {
    if (parameters === undefined) {
      found.set(name, data ?? []);
      continue;
    }
    const bytes = body.subarray(at, at + parameters.binary_data_size);
    at += parameters.binary_data_size;
    found.set(name, datatype === 'BYTES' ? textsIn(bytes) : floatsIn(bytes));
  }
  if (at !== body.length) throw new Error(`${body.length - at} bytes are left over`);
  return { json, elements: (name) => found.get(name) ?? [] };
}

function textsIn(bytes: Buffer): readonly string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    texts.push(bytes.subarray(at + 4, end).toString());
    at = end;
  }
  return texts;
}

function floatsIn(bytes: Buffer): readonly number[] {
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
