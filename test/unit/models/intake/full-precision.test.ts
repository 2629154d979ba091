/** Folders with safetensors beside graphs: full precision is what serves, or what others are held against. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { safetensorsCompiler } from '../../../../src/models/compile/can-compile.js';
import { roomNeeded } from '../../../../src/models/compile/forms/disk-failure.js';
import { preparingPeakBytes } from '../../../../src/models/compile/preparing-room.js';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { DEFAULT_BOUNDS } from '../default-bounds.js';
import { temporaryFolder } from '../folders.js';

const REFERENCE = fileURLToPath(new URL('../../../fixtures/reference', import.meta.url));
const Q8 = path.join(REFERENCE, 'q8-noise/onnx/model_quantized.onnx');

function folderOf(name: string, make: (folder: string) => void = () => undefined) {
  const root = temporaryFolder();
  const folder = path.join(root, 'model');
  cpSync(path.join(REFERENCE, name), folder, { recursive: true });
  mkdirSync(path.join(folder, 'onnx'), { recursive: true });
  make(folder);
  return root;
}

function read(root: string, dtype: 'auto' | 'fp32' | 'q8' = 'auto') {
  return new ModelRepository(root, dtype, safetensorsCompiler, DEFAULT_BOUNDS).find('model');
}

const graphAt = (file: string) => (folder: string) => cpSync(Q8, path.join(folder, file));

test('a shipped q8 graph is a candidate, and the safetensors are what it is held against', async () => {
  const root = folderOf('st-bert', graphAt('onnx/model_quantized.onnx'));
  const model = await read(root);
  expect(model).toMatchObject({ graphFile: 'model.safetensors', dtype: 'fp32' });
  expect(model.verification?.shipped).toEqual([{ weights: ['onnx/model_quantized.onnx'] }]);
  const [chosen] = model.description.decisions;
  expect(chosen?.from).toMatch(/no graph of full precision/);
  // Whoever asks for a type gets it.
  expect((await read(root, 'q8')).graphFile).toBe('onnx/model_quantized.onnx');
  expect((await read(root, 'fp32')).graphFile).toBe('model.safetensors');
});

test('a q8 graph alone serves, and says that it is not verified', async () => {
  const root = folderOf('q8-noise', (folder) => rmSync(path.join(folder, 'onnx/model.onnx')));
  const model = await read(root);
  expect(model.graphFile).toBe('onnx/model_quantized.onnx');
  expect(model.description.decisions[0]?.from).toMatch(/not verified: there are no weights/);
  expect((await read(root, 'q8')).description.decisions[0]?.from).not.toMatch(/not verified/);
});

test('safetensors of another family do not stand in the way of a graph', async () => {
  const root = folderOf('st-bert', (folder) => {
    graphAt('onnx/model_quantized.onnx')(folder);
    const config = { model_type: 'other', architectures: ['OtherForSequenceClassification'] };
    writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  });
  expect((await read(root)).graphFile).toBe('onnx/model_quantized.onnx');
});

test('a graph that is a pointer of Git LFS falls back to safetensors that are there', async () => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n';
  const root = folderOf('st-bert', (folder) =>
    writeFileSync(path.join(folder, 'onnx/model.onnx'), pointer),
  );
  expect((await read(root)).graphFile).toBe('model.safetensors');
});

test.each([
  ['st-roberta-bf16', 2],
  ['st-bert-f16', 2],
  ['st-bert', 1],
])('memory and disk for %s are planned with its weights as float32', async (name, factor) => {
  const model = await read(folderOf(name));
  const float32Bytes = model.float32Bytes ?? model.sourceBytes;
  expect(float32Bytes).toBe(factor * model.sourceBytes);
  expect(preparingPeakBytes(model)).toBeGreaterThan(2 * factor * model.sourceBytes);
  expect(roomNeeded(model.weights, float32Bytes)).toBeGreaterThan(4 * factor * model.sourceBytes);
});
