import { expect, test } from 'vitest';
import { chooseFiles } from '../../../../src/models/pull/choose-files.js';

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
