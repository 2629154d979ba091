/**
 * A classifier small enough to be computed by hand, as an ONNX file in any of the forms that exporters write: the
 * logits of a text are the sum of its tokens' rows in a table.
 */
import {
  dataTypes,
  graphNameField,
  initializerHeader,
  modelHeader,
  nodeField,
  type ValueDescription,
  valueField,
} from '../../../src/models/compile/onnx/messages.js';
import {
  concat,
  fieldHeader,
  integerField,
  messageField,
  stringField,
} from '../../../src/models/compile/onnx/protobuf-writer.js';

export const VOCABULARY = 125;

export interface GraphForm {
  readonly labels?: number;
  /** Names of the inputs, in the order of ids, mask, types, positions; empty: left out. */
  readonly names?: readonly string[];
  readonly type?: 'int64' | 'int32';
  readonly maskType?: 'int64' | 'int32' | 'float';
  readonly rows?: number | string;
  readonly length?: number | string;
  readonly output?: string;
  readonly outputType?: 'float' | 'float16' | 'double';
  readonly squeezed?: boolean;
  /** Another output before the logits. */
  readonly before?: 'last_hidden_state' | 'pooler_output';
  /** A branch with constants of its own around the logits. */
  readonly branch?: boolean;
  /** What a row takes from the others of its batch. */
  readonly neighbours?: boolean;
  /** Rows of a position table; it adds nothing, but has no more. */
  readonly positions?: number;
  /** The file beside the graph that holds the table: {@link tableBytes}. */
  readonly external?: string;
  /** Logits become infinite for texts that hold token 7. */
  readonly infinite?: boolean;
  /** Logits of each token: its row of the table, and a small part of the sum of all. No token types, no positions. */
  readonly perToken?: boolean;
  /** What the graph itself applies to its logits, behind a cast and a new shape. */
  readonly ending?: 'Softmax' | 'Sigmoid' | undefined;
  /** Logits are the sine of a million times their GELU, as exporters write it: a kernel that rounds elsewhere gives others. */
  readonly sensitive?: boolean;
  /** Further inputs, by name: half of the sum of each is added to every logit. */
  readonly more?: readonly string[];
  /** This part of the sum of all tokens, pads included, is added to each logit. */
  readonly leak?: number;
  /** With `positions`: what each place adds, times its number. */
  readonly placed?: number;
  /** The inputs are declared in the opposite order. */
  readonly reversed?: boolean;
  /** With `perToken`: the rows' dimension is squeezed away. */
  readonly withoutRows?: boolean;
}

const TYPE = { ...dataTypes, double: 11, int32: 6, bool: 9, int8: 3 };
type TypeName = keyof typeof TYPE;

/** The table: the same numbers each time. */
export function weightOf(token: number, label: number): number {
  return Math.fround((((token * 31 + label * 17) % 41) - 20) / 64);
}

/** What the graph gives for a text of these tokens. */
export function logitsByHand(
  ids: readonly number[],
  types: readonly number[],
  form: GraphForm,
): readonly number[] {
  const names = form.names ?? USUAL;
  return Array.from({ length: form.labels ?? 2 }, (_, label) => {
    let sum = ids.reduce((all, id) => all + weightOf(id, label), 0);
    sum *= 1 + (form.leak ?? 0);
    sum += ids.reduce((all, _id, at) => all + at * (form.placed ?? 0), 0);
    if (names[2]) sum += types.reduce((all, type) => all + type, 0) * 0.5;
    if (form.more?.includes('global_attention_mask') === true) sum += 0.5;
    if (names[3]) sum += ids.reduce((all, _id, at) => all + at, 0) * 0.015625;
    return sum;
  });
}

/** What a graph with `perToken` gives for each token. */
export function tokenLogitsByHand(
  ids: readonly number[],
  labels: number,
): readonly (readonly number[])[] {
  const count = Array.from({ length: labels }, (_, label) => label);
  const sums = count.map((label) => ids.reduce((all, id) => all + weightOf(id, label), 0));
  return ids.map((id) => count.map((label) => weightOf(id, label) + 0.015625 * (sums[label] ?? 0)));
}

const USUAL = ['input_ids', 'attention_mask', 'token_type_ids', ''];

/** The file. */
export function tinyGraph(form: GraphForm): Buffer {
  const { labels = 2, names = USUAL, type = 'int64', maskType = type } = form;
  const [ids = '', mask = '', types = '', positions = ''] = names;
  const shape = [form.rows ?? 'batch', form.length ?? 'sequence'];
  const inputs = [ids, mask, types, positions].flatMap((name, at) =>
    name === '' ? [] : [value('input', name, at === 1 ? maskType : type, shape)],
  );
  const { more = [] } = form;
  inputs.push(...more.map((name) => value('input', name, type, shape)));
  if (form.reversed === true) inputs.reverse();
  const nodes: Uint8Array[] = [];
  const node = (
    operator: string,
    from: readonly string[],
    to: string,
    attributes = {},
    graphs: Uint8Array[] = [],
  ) => {
    nodes.push(nodeField({ operator, name: to, inputs: from, output: to, attributes }, graphs));
    return to;
  };
  const cast = (from: string, to: TypeName) =>
    node('Cast', [from], `${from}_${to}`, { to: TYPE[to] });
  let rows = node('Gather', ['table', ids], 'embedded');
  if (form.positions !== undefined) {
    const size = node('Gather', [node('Shape', [ids], 'shape'), 'one_index'], 'size');
    const range = node('Range', ['zero_index', size, 'one_step'], 'range');
    rows = node('Add', [rows, node('Gather', ['place_table', range], 'places')], 'placed');
  }
  if (mask !== '') {
    const weights = node(
      'Unsqueeze',
      [maskType === 'float' ? mask : cast(mask, 'float'), 'last'],
      'weights',
    );
    rows = node('Mul', [rows, weights], 'masked');
  }
  const perToken = form.perToken === true;
  const sums = node('ReduceSum', [rows, 'tokens'], 'sums', { keepdims: perToken ? 1 : 0 });
  let logits = perToken
    ? node('Add', [rows, node('Mul', [sums, 'small'], 'all_part')], 'token_logits')
    : sums;
  const add = (input: string, scale: string) => {
    const seen =
      mask === ''
        ? input
        : node('Mul', [input, maskType === type ? mask : cast(mask, type)], `${input}_seen`);
    const sum = node('ReduceSum', [cast(seen, 'float'), 'tokens'], `${input}_sum`, { keepdims: 1 });
    logits = node('Add', [logits, node('Mul', [sum, scale], `${input}_part`)], `${input}_added`);
  };
  if (types !== '' && !perToken) add(types, 'half');
  if (positions !== '' && !perToken) add(positions, 'small');
  if (form.leak !== undefined) {
    const all = node('ReduceSum', ['embedded', 'tokens'], 'unmasked', { keepdims: 0 });
    logits = node('Add', [logits, node('Mul', [all, 'leak'], 'leaked')], 'with_leak');
  }
  for (const name of more) {
    const sum = node('ReduceSum', [cast(name, 'float'), 'tokens'], `${name}_sum`, { keepdims: 1 });
    logits = node('Add', [logits, node('Mul', [sum, 'half'], `${name}_part`)], `${name}_added`);
  }
  if (form.neighbours === true) {
    const mean = node('ReduceMean', [logits], 'mean', { axes: [0], keepdims: 1 });
    logits = node('Sub', [logits, node('Mul', [mean, 'half'], 'part')], 'mixed');
  }
  if (form.infinite === true) {
    const hit = node('Cast', [node('Equal', [ids, 'seven'], 'hits')], 'hits_float', {
      to: TYPE.float,
    });
    const most = node('ReduceMax', [hit], 'hit', { axes: [1], keepdims: 1 });
    logits = node(
      'Sub',
      [logits, node('Log', [node('Sub', ['one', most], 'left')], 'log')],
      'risky',
    );
  }
  if (form.branch === true) logits = node('If', ['yes'], 'branched', {}, branches(logits));
  if (form.sensitive === true) {
    const error = node('Erf', [node('Div', [logits, 'root_two'], 'scaled')], 'error');
    const both = node('Mul', [logits, node('Add', [error, 'one'], 'error_one')], 'both');
    const large = node('Mul', [node('Mul', [both, 'half'], 'gelu'), 'million'], 'large');
    logits = node('Sin', [large], 'sine');
  }
  if (form.ending !== undefined) {
    const axis = form.ending === 'Softmax' ? { axis: -1 } : {};
    const ended = node(form.ending, [logits], 'ended', axis);
    logits = node('Identity', [node('Reshape', [ended, 'same_shape'], 'reshaped')], 'renamed');
  }
  if (form.squeezed === true) logits = node('Squeeze', [logits, 'last_one'], 'squeezed');
  if (form.withoutRows === true) logits = node('Squeeze', [logits, 'first_axis'], 'flat');
  const outputType = form.outputType ?? 'float';
  if (outputType !== 'float') logits = cast(logits, outputType);
  const name = form.output ?? 'logits';
  node('Identity', [logits], name);
  const tokenShape = form.withoutRows === true ? ['sequence'] : ['batch', 'sequence'];
  const rowShape = perToken ? tokenShape : ['batch'];
  const outputs = [
    value('output', name, outputType, form.squeezed === true ? rowShape : [...rowShape, labels]),
  ];
  if (form.before === 'last_hidden_state') {
    node('Identity', ['embedded'], form.before);
    outputs.unshift(value('output', form.before, 'float', ['batch', 'sequence', labels]));
  }
  if (form.before === 'pooler_output') {
    node('Identity', ['sums'], form.before);
    outputs.unshift(value('output', form.before, 'float', ['batch', labels]));
  }
  const constants = [
    form.external === undefined
      ? constant('table', 'float', [VOCABULARY, labels], tableBytes(labels))
      : externalTable(labels, form.external),
    ...[floats('half', [], [0.5]), floats('small', [], [0.015625]), floats('one', [], [1])],
    floats('leak', [], [form.leak ?? 0]),
    ...[floats('root_two', [], [Math.SQRT2]), floats('million', [], [1e6])],
    ...[whole('last', [1], [-1]), whole('tokens', [1], [1]), whole('last_one', [1], [1])],
    whole('first_axis', [1], [0]),
    whole('same_shape', perToken ? [3] : [2], perToken ? [0, 0, -1] : [0, -1]),
    whole('seven', [], [7], type),
    ...[whole('one_index', [], [1]), whole('zero_index', [], [0]), whole('one_step', [], [1])],
    ...(form.positions === undefined
      ? []
      : [floats('place_table', [form.positions, labels], placesOf(form))]),
    constant('yes', 'bool', [], Uint8Array.of(1)),
  ];
  const graph = concat([...nodes, graphNameField('tiny'), ...constants, ...inputs, ...outputs]);
  return Buffer.from(concat([modelHeader('tests', graph.byteLength), graph]));
}

function placesOf({ positions = 0, labels = 2, placed = 0 }: GraphForm): readonly number[] {
  return Array.from({ length: positions * labels }, (_, at) => Math.floor(at / labels) * placed);
}

/** A graph that can be read, but not run: one product, with weights of that type. @param table numbers of an fp32 embedding */
export function bareGraph(dtype: 'fp32' | 'fp16' | 'q8', external?: string, table = 0): Buffer {
  const of = (operator: string, inputs: readonly string[], output: string) =>
    nodeField({ operator, name: output, inputs, output, attributes: {} });
  const isInteger = dtype === 'q8';
  const [type, bytes] = isInteger
    ? (['int8', 1] as const)
    : dtype === 'fp16'
      ? (['float16', 2] as const)
      : (['float', 4] as const);
  const graph = concat([
    of('Gather', ['words', 'input_ids'], 'embedded'),
    of(isInteger ? 'MatMulInteger' : 'MatMul', ['embedded', 'weights'], 'logits'),
    graphNameField('bare'),
    ...(external === undefined ? [] : [externalTable(2, external, 'words')]),
    ...(table === 0 ? [] : [floats('words', [table], Array(table).fill(0))]),
    constant('weights', type, [64], new Uint8Array(64 * bytes)),
    value('input', 'input_ids', 'int64', ['b', 's']),
    value('output', 'logits', 'float', ['b', 2]),
  ]);
  return Buffer.from(concat([modelHeader('tests', graph.byteLength), graph]));
}

/** A field that no ONNX message has: a file with it is another one, and as good. */
export const UNKNOWN_FIELD = 'x\u0001';

/** The table as it lies in a file. */
export function tableBytes(labels: number): Uint8Array {
  const values = Array.from({ length: VOCABULARY * labels }, (_, at) =>
    weightOf(Math.floor(at / labels), at % labels),
  );
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** TensorProto: dims = 1, data_type = 2, name = 8, external_data = 13, data_location = 14 (EXTERNAL = 1). */
function externalTable(labels: number, file: string, name = 'table'): Uint8Array {
  const entry = messageField(13, [stringField(1, 'location'), stringField(2, file)]);
  const shape = [integerField(1, VOCABULARY), integerField(1, labels)];
  const type = integerField(2, TYPE.float);
  return messageField(5, [...shape, type, stringField(8, name), entry, integerField(14, 1)]);
}

function value(
  kind: 'input' | 'output',
  name: string,
  type: TypeName,
  shape: readonly (number | string)[],
): Uint8Array {
  if (type === 'float' || type === 'int64' || type === 'float16') {
    return valueField(kind, { name, type, shape } satisfies ValueDescription);
  }
  const dimensions = shape.map((size) =>
    messageField(1, [typeof size === 'number' ? integerField(1, size) : stringField(2, size)]),
  );
  const tensor = [integerField(1, TYPE[type]), messageField(2, dimensions)];
  return messageField(kind === 'input' ? 11 : 12, [
    stringField(1, name),
    messageField(2, [messageField(1, tensor)]),
  ]);
}

function constant(
  name: string,
  type: TypeName,
  shape: readonly number[],
  bytes: Uint8Array,
): Uint8Array {
  if (type === 'float' || type === 'int64') {
    return concat([initializerHeader(name, type, shape, bytes.byteLength), bytes]);
  }
  // TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9.
  const fields = [
    ...shape.map((size) => integerField(1, size)),
    integerField(2, TYPE[type]),
    stringField(8, name),
  ];
  return messageField(5, [...fields, concat([fieldHeader(9, bytes.byteLength), bytes])]);
}

function floats(name: string, shape: readonly number[], values: readonly number[]): Uint8Array {
  return constant(name, 'float', shape, new Uint8Array(Float32Array.from(values).buffer));
}

function whole(
  name: string,
  shape: readonly number[],
  values: readonly number[],
  type: 'int64' | 'int32' = 'int64',
): Uint8Array {
  const numbers = type === 'int64' ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
  return constant(name, type, shape, new Uint8Array(numbers.buffer));
}

/** `then`: plus a constant, minus a large one that is all zeros; `else`: as it is. */
function branches(input: string): Uint8Array[] {
  const large = 400;
  const nodeOf = (operator: string, inputs: readonly string[], output: string) =>
    nodeField({ operator, name: output, inputs, output, attributes: {} });
  const output = (name: string) => valueField('output', { name, type: 'float', shape: ['b', 'l'] });
  const taken = [
    nodeOf('Add', [input, 'zero'], 'shifted'),
    nodeOf('Slice', ['zeros', 'first', 'second'], 'one_zero'),
    nodeOf('Add', ['shifted', 'one_zero'], 'then_out'),
    graphNameField('then'),
    ...[
      floats('zero', [1], [0]),
      floats(
        'zeros',
        [large],
        Array.from({ length: large }, () => 0),
      ),
    ],
    ...[whole('first', [1], [0]), whole('second', [1], [1]), output('then_out')],
  ];
  const other = [
    nodeOf('Identity', [input], 'else_out'),
    graphNameField('else'),
    output('else_out'),
  ];
  return [branch('then_branch', taken), branch('else_branch', other)];
}

/** AttributeProto: name = 1, g = 6, type = 20 (GRAPH = 5). */
function branch(name: string, graph: readonly Uint8Array[]): Uint8Array {
  return messageField(5, [stringField(1, name), messageField(6, graph), integerField(20, 5)]);
}
