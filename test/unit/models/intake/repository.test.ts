import { appendFileSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dtype } from '../../../../src/models/intake/dtype.js';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { DEFAULT_BOUNDS } from '../default-bounds.js';
import { GRAPH, temporaryFolder, write, writeModel } from '../folders.js';
import { bareGraph, tinyGraph, UNKNOWN_FIELD } from '../tiny-graph.js';

async function scanned(root: string): Promise<ModelRepository> {
  const repository = new ModelRepository(root);
  await repository.scan();
  return repository;
}

describe('scanning', () => {
  test('finds models by their path below the folder, in order', async () => {
    const root = temporaryFolder();
    for (const id of ['spam', 'org/name', 'a/b/c/d']) writeModel(root, id);
    writeModel(root, 'a/b/c/d2/too/deep');
    write(root, { 'readme.txt': 'x', 'notes/readme.txt': 'x', '.hidden/config.json': {} });
    writeModel(root, '.git/model');
    const repository = await scanned(root);
    expect(repository.list().map(({ id }) => id)).toEqual(['a/b/c/d', 'org/name', 'spam']);
    expect(repository.listBroken()).toEqual([]);
    expect(repository.known('org/name')?.sourceBytes).toBe(GRAPH.length);
  });

  test('does not look for models inside a model', async () => {
    const root = temporaryFolder();
    writeModel(root, 'outer');
    writeModel(root, 'outer/inner');
    expect((await scanned(root)).list().map(({ id }) => id)).toEqual(['outer']);
  });

  test('follows links to folders, and survives one in a circle', async () => {
    const root = temporaryFolder();
    const elsewhere = writeModel(temporaryFolder(), 'real');
    symlinkSync(elsewhere, path.join(root, 'linked'));
    symlinkSync(root, path.join(root, 'circle'));
    const ids = (await scanned(root)).list().map(({ id }) => id);
    expect(ids).toContain('linked');
    expect(ids.length).toBeLessThanOrEqual(4);
  });

  test('lists what cannot be used with the reason, beside what can', async () => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    writeModel(root, 'bad', { 'config.json': '{' });
    writeModel(root, 'worse', { 'tokenizer.json': undefined });
    const repository = await scanned(root);
    expect(repository.list().map(({ id }) => id)).toEqual(['good']);
    expect(repository.listBroken().map(({ id }) => id)).toEqual(['bad', 'worse']);
    expect(repository.listBroken()[1]?.reason).toMatch(
      /^tokenizer\.json cannot be used: it is missing; it holds .*save_pretrained/,
    );
  });

  test('again forgets what is gone', async () => {
    const root = temporaryFolder();
    writeModel(root, 'a');
    const gone = writeModel(root, 'b');
    const repository = await scanned(root);
    rmSync(gone, { recursive: true });
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['a']);
  });

  test('a folder that is not there is an error that names it', async () => {
    const missing = path.join(temporaryFolder(), 'missing');
    await expect(scanned(missing)).rejects.toThrow(`the models folder ${missing} does not exist`);
  });
});

describe('finding', () => {
  test('a model that appeared later', async () => {
    const root = temporaryFolder();
    const repository = await scanned(root);
    writeModel(root, 'late/comer');
    expect((await repository.find('late/comer')).id).toBe('late/comer');
    expect(repository.known('late/comer')).toBeDefined();
  });

  test('an unknown name says which there are', async () => {
    const root = temporaryFolder();
    writeModel(root, 'spam');
    const find = (await scanned(root)).find('span');
    await expect(find).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(find).rejects.toThrow('there is no model "span"; there is spam');
  });

  test('a folder that is no model yet is not found; one with broken files is unusable', async () => {
    const root = temporaryFolder();
    mkdirSync(path.join(root, 'empty'));
    writeModel(root, 'bad', { 'config.json': '[]' });
    const repository = await scanned(root);
    await expect(repository.find('empty')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(repository.find('bad')).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
  });

  test.each([
    '../outside',
    '..',
    '.',
    '/outside',
    'a/../../outside',
    'a//b',
    'a/',
    '',
    'a\\b',
    'a\0b',
  ])('never leaves its folder: %j', async (id) => {
    const parent = temporaryFolder();
    writeModel(parent, 'outside');
    writeModel(parent, 'root/a');
    const find = (await scanned(path.join(parent, 'root'))).find(id);
    await expect(find).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  test('any other name is not found, and never anything worse', async () => {
    const repository = await scanned(temporaryFolder());
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (id) => {
        await expect(repository.find(id)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      }),
    );
  });

  test('a model that is gone is forgotten when it is read again', async () => {
    const root = temporaryFolder();
    const folder = writeModel(root, 'a');
    const repository = await scanned(root);
    rmSync(folder, { recursive: true });
    await expect(repository.refresh('a')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(repository.known('a')).toBeUndefined();
  });
});

const WITH_DATA = tinyGraph({ external: 'model.onnx_data' });

describe('the signature', () => {
  test('changes with each of the model’s files, and with no other', async () => {
    const root = temporaryFolder();
    const folder = writeModel(root, 'a', {
      'onnx/model.onnx': WITH_DATA,
      'onnx/model.onnx_data': 'weights',
    });
    const repository = await scanned(root);
    let last = (await repository.refresh('a')).signature;
    write(folder, { 'README.md': 'x', 'onnx/model_fp16.onnx': 'x' });
    expect((await repository.refresh('a')).signature).toBe(last);
    for (const file of [
      'tokenizer.json',
      'tokenizer_config.json',
      'config.json',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
    ]) {
      appendFileSync(path.join(folder, file), file.endsWith('.onnx') ? UNKNOWN_FIELD : ' ');
      const { signature } = await repository.refresh('a');
      expect(signature, file).not.toBe(last);
      last = signature;
    }
  });

  test('counts the external data of the graph', async () => {
    const root = temporaryFolder();
    writeModel(root, 'a', {
      'onnx/model.onnx': WITH_DATA,
      'onnx/model.onnx_data': 'weights',
    });
    expect((await scanned(root)).known('a')?.sourceBytes).toBe(WITH_DATA.length + 'weights'.length);
    expect((await scanned(root)).known('a')?.files).toEqual([
      'config.json',
      'tokenizer_config.json',
      'tokenizer.json',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
    ]);
  });
});

describe('of several weights', () => {
  const FILES = {
    'onnx/model.onnx': bareGraph('fp32'),
    'onnx/model_fp16.onnx': bareGraph('fp16'),
    'onnx/model_quantized.onnx': bareGraph('q8', 'model_quantized.onnx_data'),
    'onnx/model_quantized.onnx_data': 'weights',
  };
  const FP32 = FILES['onnx/model.onnx'].length;
  type Names = readonly (keyof typeof FILES)[];

  async function dtypeOf(names: Names, wanted: Dtype | 'auto'): Promise<string> {
    const root = temporaryFolder();
    const files = Object.fromEntries(names.map((name) => [name, FILES[name]]));
    writeModel(root, 'a', { 'onnx/model.onnx': undefined, ...files });
    const repository = new ModelRepository(root, wanted);
    await repository.scan();
    const model = repository.known('a');
    if (model === undefined) return repository.listBroken()[0]?.reason ?? 'not found';
    return `${model.dtype} ${model.graphFile} ${model.sourceBytes}`;
  }

  test.each<[Names, Dtype | 'auto', string]>([
    [['onnx/model.onnx'], 'auto', `fp32 onnx/model.onnx ${FP32}`],
    [['onnx/model_fp16.onnx'], 'auto', `fp16 onnx/model_fp16.onnx ${bareGraph('fp16').length}`],
    [['onnx/model.onnx', 'onnx/model_fp16.onnx'], 'auto', `fp32 onnx/model.onnx ${FP32}`],
    [
      ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_quantized.onnx_data'],
      'auto',
      `fp32 onnx/model.onnx ${FP32}`,
    ],
    [
      ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_quantized.onnx_data'],
      'q8',
      `q8 onnx/model_quantized.onnx ${FILES['onnx/model_quantized.onnx'].length + 'weights'.length}`,
    ],
    [['onnx/model.onnx', 'onnx/model_quantized.onnx'], 'fp32', `fp32 onnx/model.onnx ${FP32}`],
    [
      ['onnx/model.onnx', 'onnx/model_fp16.onnx'],
      'fp16',
      `fp16 onnx/model_fp16.onnx ${bareGraph('fp16').length}`,
    ],
    [
      ['onnx/model.onnx'],
      'q8',
      'it has no onnx/model_quantized.onnx, nor another graph of dtype q8; it has onnx/model.onnx (fp32)',
    ],
  ])('%j, asked for %s: %s', async (names, wanted, found) => {
    expect(await dtypeOf(names, wanted)).toBe(found);
  });

  test('large embeddings of floating point leave a quantised model one', async () => {
    const root = temporaryFolder();
    writeModel(root, 'a', { 'onnx/model.onnx': bareGraph('q8', undefined, 10_000) });
    writeModel(root, 'b', { 'onnx/model.onnx': bareGraph('fp32', undefined, 10_000) });
    const repository = await scanned(root);
    expect(repository.list().map(({ dtype }) => dtype)).toEqual(['q8', 'fp32']);
  });

  test('only those that are used, or tried, change the signature', async () => {
    const root = temporaryFolder();
    const folder = writeModel(root, 'a', FILES);
    const tried = new ModelRepository(root, 'auto', undefined, DEFAULT_BOUNDS);
    const others = { ...DEFAULT_BOUNDS, shift: 0.04 };
    const signatures = async () => [
      (await (await scanned(root)).refresh('a')).signature,
      (await tried.refresh('a')).signature,
    ];
    const before = await signatures();
    const stricter = await new ModelRepository(root, 'auto', undefined, others).find('a');
    expect(stricter.signature).not.toBe(before[1]);
    appendFileSync(path.join(folder, 'onnx/model_quantized.onnx'), UNKNOWN_FIELD);
    const between = await signatures();
    expect(between[0]).toBe(before[0]);
    const { verification } = await tried.refresh('a');
    expect(verification?.bounds).toBe(DEFAULT_BOUNDS);
    appendFileSync(path.join(folder, 'onnx/model.onnx'), UNKNOWN_FIELD);
    const after = await signatures();
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(between[1]);
  });
});
