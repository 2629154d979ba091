import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PlimsollError } from '../../../../../src/errors.js';
import { statusOf } from '../../../../../src/http/doors/open-inference/errors.js';
import { INPUTS } from '../../../../../src/http/doors/open-inference/rows.js';
import { readRequest } from '../../../../../src/http/doors/open-inference/tensors/request.js';
import { bodyOf, type ClientTensor, type Way } from './client.js';

function read(body: Buffer, header?: string) {
  return readRequest(body, header, INPUTS);
}

/** The status and the message of the refusal. */
function refusal(body: Buffer, header?: string): string {
  try {
    read(body, header);
  } catch (error) {
    if (error instanceof PlimsollError) return `${statusOf(error)} ${error.message}`;
    throw error;
  }
  return 'no refusal';
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const input = (fields: object) => ({
  ...{ name: 'text', datatype: 'BYTES', shape: [1], data: ['a'] },
  ...fields,
});
const ids = (fields: object) =>
  input({ name: 'input_ids', datatype: 'INT64', shape: [1, 2], data: [1, 2], ...fields });
const inputsOf = (...inputs: readonly object[]) => json({ inputs });

describe('what a client writes is read as it was', () => {
  const way = fc.constantFrom<Way>('flat', 'nested', 'binary');
  const text = fc.string({ unit: 'binary' }).filter((one) => !/\p{Surrogate}/u.test(one));
  const texts = fc.array(text, { minLength: 1, maxLength: 5 }).map(
    (elements): ClientTensor => ({
      ...{ name: 'text', datatype: 'BYTES', shape: [elements.length, 1], elements },
    }),
  );
  const integers = fc
    .record({
      datatype: fc.constantFrom<'INT64' | 'INT32'>('INT64', 'INT32'),
      rows: fc.integer({ min: 1, max: 4 }),
      width: fc.integer({ min: 1, max: 4 }),
      seed: fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 16, maxLength: 16 }),
    })
    .map(
      ({ datatype, rows, width, seed }): ClientTensor => ({
        ...{ name: 'input_ids', datatype, shape: [rows, width] },
        elements: seed.slice(0, rows * width),
      }),
    );

  test('in any mixture of JSON, flat or nested, and bytes', () => {
    fc.assert(
      fc.property(texts, way, integers, way, (first, firstWay, second, secondWay) => {
        const { body, header } = bodyOf([
          [first, firstWay],
          [second, secondWay],
        ]);
        const { inputs } = read(body, header);
        const read2 = inputs.map((tensor) =>
          tensor.datatype === 'BYTES' ? tensor.texts : [...tensor.integers],
        );
        expect(read2).toEqual([first.elements, second.elements]);
        expect(inputs.map(({ shape }) => shape)).toEqual([first.shape, second.shape]);
      }),
    );
  });

  test('a byte order mark and a NUL belong to the text', () => {
    const elements = ['\uFEFFa\u0000b'];
    const tensor: ClientTensor = { name: 'text', datatype: 'BYTES', shape: [1], elements };
    const { body, header } = bodyOf([[tensor, 'binary']]);
    expect(read(body, header).inputs).toMatchObject([{ texts: elements }]);
  });

  test('outputs with their own wish, and those without', () => {
    const outputs = [
      { name: 'label', parameters: { binary_data: false } },
      { name: 'score', parameters: { classification: 2 } },
    ];
    const parameters = { binary_data_output: true };
    expect(read(json({ id: 'x', inputs: [input({})], outputs, parameters }))).toMatchObject({
      id: 'x',
      isBinary: true,
      outputs: [
        { name: 'label', isBinary: false, classes: undefined },
        { name: 'score', isBinary: true, classes: 2 },
      ],
    });
  });

  test('null is as good as nothing, as generated clients write it', () => {
    const nothing = { binary_data: null, classification: null, shared_memory_region: null };
    const sent = {
      ...{ id: null, inputs: [input({ parameters: null })], parameters: { stride: null } },
      outputs: [{ name: 'score', parameters: nothing }],
    };
    const plain = { inputs: [input({})], outputs: [{ name: 'score' }] };
    expect(read(json(sent))).toEqual(read(json(plain)));
    const without = { inputs: [input({})], parameters: null, outputs: null };
    expect(read(json(without))).toEqual(read(inputsOf(input({}))));
    const size = { binary_data_size: null };
    expect(read(inputsOf(input({ parameters: size })))).toEqual(read(inputsOf(input({}))));
    const bytes = inputsOf(input({ data: null, parameters: { binary_data_size: 5 } }));
    const { inputs } = read(
      Buffer.concat([bytes, Buffer.from([1, 0, 0, 0, 65])]),
      `${bytes.length}`,
    );
    expect(inputs).toMatchObject([{ texts: ['A'] }]);
  });
});

describe('a refusal names what is wrong', () => {
  test.each([
    ['an empty body', Buffer.alloc(0), '400 the request is not JSON'],
    ['a list', json([]), '400 the request is not an object'],
    ['no inputs', json({}), '400 inputs is missing'],
    ['an empty list of inputs', json({ inputs: [] }), '400 inputs is empty'],
    ['inputs that are no list', json({ inputs: {} }), '400 inputs is not a list'],
    ['an input that is no object', json({ inputs: [7] }), '400 inputs[0] is not an object'],
    ['no name', inputsOf(input({ name: 3 })), '400 inputs[0] has no name'],
    [
      'an unknown input',
      inputsOf(input({ name: 'x' })),
      '400 there is no input "x"; inputs are text',
    ],
    ['a name of a prototype', inputsOf(input({ name: '__proto__' })), '400 there is no input'],
    ['an input twice', inputsOf(input({}), input({})), '400 inputs has text twice'],
    [
      'another datatype',
      inputsOf(input({ datatype: 'FP32' })),
      '400 text has the datatype "FP32"; it takes BYTES',
    ],
    ['no shape', inputsOf(input({ shape: undefined })), '400 text has no shape'],
    ['an empty shape', inputsOf(input({ shape: [] })), '400 text has a shape of 0 sizes'],
    ['a negative size', inputsOf(input({ shape: [-1] })), '400 text has a shape with -1'],
    [
      'a size that is no integer',
      inputsOf(input({ shape: [1.5] })),
      '400 text has a shape with 1.5',
    ],
    [
      'sizes whose product overflows',
      inputsOf(ids({ shape: [2 ** 30, 2 ** 30] })),
      '400 input_ids has the shape [1073741824, 1073741824]: so many',
    ],
    ['no data', inputsOf(input({ data: undefined })), '400 text has no data'],
    [
      'too few elements',
      inputsOf(input({ shape: [2] })),
      '400 text has the shape [2], so 2 elements; its data has 1',
    ],
    [
      'nested otherwise than the shape',
      inputsOf(ids({ data: [[1], [2]] })),
      '400 input_ids has the shape [1, 2]; at depth 1',
    ],
    [
      'nested deeper than the shape',
      inputsOf(ids({ data: [[[1], 2]] })),
      '400 element 0 of input_ids is a list',
    ],
    [
      'lists among elements',
      inputsOf(ids({ shape: [2, 1], data: [[1], 2] })),
      '400 input_ids mixes lists with 2',
    ],
    ['a number among texts', inputsOf(input({ data: [5] })), '400 element 0 of text is 5'],
    ['a negative id', inputsOf(ids({ data: [1, -1] })), '400 element 1 of input_ids is -1'],
    ['a fraction', inputsOf(ids({ data: [1, 0.5] })), '400 element 1 of input_ids is 0.5'],
    [
      'an id of 40 bits',
      inputsOf(ids({ data: [1, 2 ** 40] })),
      '400 element 1 of input_ids is 1099511627776',
    ],
    [
      'data and bytes',
      inputsOf(input({ parameters: { binary_data_size: 1 } })),
      '400 text has both data',
    ],
    [
      'bytes without the header',
      inputsOf(input({ data: undefined, parameters: { binary_data_size: 1 } })),
      '400 text has binary_data_size; then',
    ],
    [
      'shared memory',
      inputsOf(input({ parameters: { shared_memory_region: 'r' } })),
      '501 shared memory is not supported',
    ],
    ['an id that is no text', json({ id: 5, inputs: [input({})] }), '400 id is not a text'],
    [
      'parameters that are no object',
      json({ inputs: [input({})], parameters: 3 }),
      '400 parameters of the request',
    ],
    [
      'an output twice',
      json({ inputs: [input({})], outputs: [{ name: 'a' }, { name: 'a' }] }),
      '400 outputs has a twice',
    ],
    [
      'classes that are no number',
      json({ inputs: [input({})], outputs: [{ name: 'a', parameters: { classification: 'x' } }] }),
      '400 classification of a is "x"',
    ],
  ])('%s', (_what, body, expected) => {
    expect(refusal(body)).toContain(expected);
  });

  const shown = (size: unknown, fields: object = {}) =>
    json({
      inputs: [input({ data: undefined, parameters: { binary_data_size: size }, ...fields })],
    });
  const bytes = (...values: number[]) => Buffer.from(values);
  test.each([
    ['a size that is no number', shown('5'), bytes(), '400 binary_data_size of text is "5"'],
    ['a negative size', shown(-4), bytes(), '400 binary_data_size of text is -4'],
    [
      'fewer bytes than the size',
      shown(9),
      bytes(1, 0, 0, 0, 65),
      '400 text has 9 bytes, and 5 are left',
    ],
    [
      'bytes left over',
      shown(5),
      bytes(1, 0, 0, 0, 65, 66),
      '400 the body has 1 bytes behind its last input',
    ],
    [
      'a length beyond the tensor',
      shown(5),
      bytes(2, 0, 0, 0, 65),
      '400 the bytes of text end within element 0',
    ],
    [
      'a length beyond 2 GB',
      shown(5),
      bytes(255, 255, 255, 255, 65),
      '400 the bytes of text end within element 0',
    ],
    [
      'bytes behind the elements',
      shown(6),
      bytes(1, 0, 0, 0, 65, 66),
      '400 text has 1 bytes behind its 1 elements',
    ],
    [
      'more elements than bytes hold',
      shown(4, { shape: [2 ** 40] }),
      bytes(0, 0, 0, 0),
      '400 text has 1099511627776 elements; 4 bytes',
    ],
    [
      'bytes that are not UTF-8',
      shown(6),
      bytes(2, 0, 0, 0, 0xc3, 0x28),
      '400 element 0 of text is not UTF-8',
    ],
    [
      'half a surrogate',
      shown(7),
      bytes(3, 0, 0, 0, 0xed, 0xa0, 0x80),
      '400 element 0 of text is not UTF-8',
    ],
    [
      'ids of the wrong length',
      shown(8, { name: 'input_ids', datatype: 'INT64', shape: [1, 2] }),
      bytes(...new Array<number>(8).fill(0)),
      '400 2 elements of 8 bytes are 16 bytes; input_ids has 8',
    ],
    [
      'a negative id',
      shown(8, { name: 'input_ids', datatype: 'INT64', shape: [1, 1] }),
      bytes(...new Array<number>(8).fill(255)),
      '400 element 0 of input_ids is -1',
    ],
    [
      'an id of 33 bits',
      shown(8, { name: 'input_ids', datatype: 'INT64', shape: [1, 1] }),
      bytes(0, 0, 0, 0, 1, 0, 0, 0),
      '400 element 0 of input_ids is 4294967296',
    ],
    [
      'an id of 32 bits',
      shown(8, { name: 'input_ids', datatype: 'INT64', shape: [1, 1] }),
      bytes(255, 255, 255, 255, 0, 0, 0, 0),
      '400 element 0 of input_ids is 4294967295',
    ],
  ])('%s, in bytes', (_what, head, tail, expected) => {
    expect(refusal(Buffer.concat([head, tail]), String(head.length))).toContain(expected);
  });

  test.each([
    ['-1', '400 Inference-Header-Content-Length is "-1"'],
    ['abc', '400 Inference-Header-Content-Length is "abc"'],
    ['1e3', '400 Inference-Header-Content-Length is "1e3"'],
    ['9999', '400 Inference-Header-Content-Length is 9999, and the body has 2 bytes'],
    ['0', '501 a request of bytes alone is not supported'],
    ['1', '400 the request is not JSON'],
  ])('the header %s', (header, expected) => {
    expect(refusal(json({}), header)).toContain(expected);
  });

  test('JSON that nests deeper than the stack', () => {
    const deep = `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":${'['.repeat(200_000)}${']'.repeat(200_000)}}]}`;
    expect(refusal(Buffer.from(deep))).toMatch(/^400 /);
  });
});

test('any bytes are read or refused with a status of the protocol', () => {
  const { body } = bodyOf([
    [{ name: 'text', datatype: 'BYTES', shape: [2], elements: ['one', 'zwö'] }, 'binary'],
    [{ name: 'input_ids', datatype: 'INT64', shape: [1, 2], elements: [7, 8] }, 'binary'],
  ]);
  const broken = fc
    .record({
      at: fc.nat(body.length - 1),
      byte: fc.integer({ min: 0, max: 255 }),
      cut: fc.nat(body.length),
    })
    .map(({ at, byte, cut }) => {
      const copy = Buffer.from(body);
      copy[at] = byte;
      return copy.subarray(0, cut);
    });
  const any = fc.oneof(
    broken,
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.jsonValue().map((value) => json(value)),
    fc.jsonValue().map((value) => json({ inputs: value })),
    fc.jsonValue().map((value) => json({ inputs: [value] })),
    fc.jsonValue().map((value) => inputsOf(ids({ shape: value }))),
    fc.jsonValue().map((value) => inputsOf(ids({ data: value }))),
  );
  const header = fc.option(fc.oneof(fc.string(), fc.nat(300).map(String)), { nil: undefined });
  fc.assert(
    fc.property(any, header, (bytes, length) => {
      expect(refusal(bytes, length)).toMatch(/^(no refusal$|400 |501 )/);
    }),
    { numRuns: 2000 },
  );
});
