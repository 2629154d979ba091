import { expect, test } from 'vitest';
import {
  chooseSmallFiles,
  chooseWeights,
  type WantedWeights,
} from '../../../../src/models/pull/choose-files.js';

/** A CPU with the best instructions there are. */
const VNNI = { arch: 'x64', flags: ['avx2', 'avx512bw', 'avx512f', 'avx512_vnni'] };

function chooseFiles(paths: readonly string[], dtype: string, cpu = VNNI, compileProblem?: string) {
  const wanted = dtype === 'auto' ? undefined : (dtype as NonNullable<WantedWeights['dtype']>);
  const chosen = chooseWeights(paths, { dtype: wanted, compileProblem, cpu });
  return [...chooseSmallFiles(paths), ...chosen];
}

const SMALL = ['config.json', 'tokenizer.json', 'vocab.txt'];

test.each([
  [
    ['onnx/model.onnx', 'onnx/model.onnx_data'],
    'auto',
    ['onnx/model.onnx', 'onnx/model.onnx_data'],
  ],
  [['model.onnx', 'onnx/model.onnx', 'model.safetensors'], 'auto', ['model.onnx']],
  [['onnx/model.onnx', 'onnx/model_quantized.onnx'], 'auto', ['onnx/model.onnx']],
  [['onnx/model.onnx', 'onnx/model_quantized.onnx'], 'q8', ['onnx/model_quantized.onnx']],
  [['onnx/model.onnx', 'onnx/model_fp16.onnx'], 'fp16', ['onnx/model_fp16.onnx']],
  [['onnx/model.onnx', 'onnx/model_q4.onnx'], 'q4', ['onnx/model_q4.onnx']],
  [['onnx/model.onnx', 'onnx/model_bf16.onnx'], 'bf16', ['onnx/model_bf16.onnx']],
  [['onnx/model.onnx', 'onnx/model_fp64.onnx'], 'fp64', ['onnx/model_fp64.onnx']],
  // A type that is not there: what there is, as names may lie.
  [['onnx/model.onnx'], 'q8', ['onnx/model.onnx']],
  // Full precision first, wherever it lies: a q8 or fp16 graph alone could be compared with nothing.
  [['onnx/model_quantized.onnx', 'model.safetensors'], 'auto', ['model.safetensors']],
  [['onnx/model_fp16.onnx', 'model.safetensors'], 'auto', ['model.safetensors']],
  [['model_O4.onnx', 'model.safetensors'], 'auto', ['model.safetensors']],
  [['onnx/model_quantized.onnx', 'onnx/model_fp16.onnx'], 'auto', ['onnx/model_fp16.onnx']],
  [['onnx/model_quantized.onnx', 'model.safetensors'], 'q8', ['onnx/model_quantized.onnx']],
  [['model_O2.onnx'], 'auto', ['model_O2.onnx']],
  [['model.safetensors', 'pytorch_model.bin'], 'auto', ['model.safetensors']],
  [
    [
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ],
    'auto',
    [
      'model.safetensors.index.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
    ],
  ],
])('of %j with dtype %s', (weights, dtype, chosen) => {
  const others = ['README.md', '.gitattributes', 'pytorch_model.bin', 'flax_model.msgpack'];
  expect(chooseFiles([...SMALL, ...others, ...weights], dtype)).toEqual([...SMALL, ...chosen]);
});

test('what stands beside the graph comes with it', () => {
  const files = ['onnx/model.onnx', 'onnx/config.json', 'onnx/tokenizer.json', 'onnx/README.md'];
  expect(chooseFiles(files, 'auto')).toEqual([
    ...['onnx/config.json', 'onnx/tokenizer.json', 'onnx/model.onnx'],
  ]);
});

test.each([
  [['config.json', 'pytorch_model.bin'], /it has pytorch_model\.bin; pickle files run code/],
  [['config.json'], /no weights/],
  [['model-00001-of-00002.safetensors'], /no weights/],
])('of %j nothing can be served', (files, message) => {
  expect(() => chooseFiles(files, 'auto')).toThrow(message);
});

const Q8 = [
  'onnx/model_qint8_arm64.onnx',
  'onnx/model_qint8_avx512.onnx',
  'onnx/model_qint8_avx512_vnni.onnx',
  'onnx/model_quint8_avx2.onnx',
];

test.each([
  [VNNI, 'onnx/model_qint8_avx512_vnni.onnx'],
  [{ arch: 'x64', flags: ['avx2', 'avx512f'] }, 'onnx/model_qint8_avx512.onnx'],
  [{ arch: 'x64', flags: ['avx2'] }, 'onnx/model_quint8_avx2.onnx'],
  [{ arch: 'arm64', flags: [] }, 'onnx/model_qint8_arm64.onnx'],
])('of graphs for several CPUs %j gets its own', (cpu, graph) => {
  expect(chooseFiles(['onnx/model.onnx', ...Q8], 'q8', cpu)).toEqual([graph]);
  const generic = 'onnx/model_quantized.onnx';
  const none = { arch: 'x64', flags: [] };
  expect(chooseFiles([...Q8, generic], 'q8', none)).toEqual([generic]);
});

test('safetensors of a family that is not compiled: another graph, else refused with the reason', () => {
  const names = ['model.safetensors', 'onnx/model_quantized.onnx'];
  const problem = 'its weights cannot be compiled';
  expect(chooseFiles(names, 'auto', VNNI, problem)).toEqual(['onnx/model_quantized.onnx']);
  expect(() => chooseFiles(['model.safetensors'], 'auto', VNNI, problem)).toThrow(
    /safetensors and no ONNX graph, and its weights cannot be compiled; export it/,
  );
});
