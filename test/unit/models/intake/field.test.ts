/** What else people have among their models: it costs that folder only. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { idPartOf, nearIds } from '../../../../src/models/intake/folder/names.js';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { type Files, GRAPH, temporaryFolder, write, writeModel } from '../folders.js';
import { bareGraph, tinyGraph } from '../tiny-graph.js';

const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n';
const pipe = (file: string) => execFileSync('mkfifo', [file]);

const [ROOT, NOBODY] = [0, 65_534];

/** Without the rights of root, who may read everything. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const isRoot = process.getuid?.() === ROOT;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(ROOT);
  }
}

/** How a folder is made odd, and what is said of it. */
const ODD: readonly {
  readonly name: string;
  readonly files?: Files;
  readonly make?: (folder: string) => void;
  readonly says: RegExp;
}[] = [
  ...['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'].map((file) => ({
    name: `a pipe for ${file}`,
    make: (folder: string) => {
      rmSync(path.join(folder, file));
      pipe(path.join(folder, file));
    },
    says: /a named pipe, not a file/,
  })),
  {
    name: 'a folder for a graph',
    make: (folder) => {
      rmSync(path.join(folder, 'onnx/model.onnx'));
      mkdirSync(path.join(folder, 'onnx/model.onnx'));
    },
    says: /missing: an ONNX graph/,
  },
  {
    name: 'a config of 183 MB',
    make: (folder) => truncateSync(path.join(folder, 'config.json'), 183 * 2 ** 20),
    says: /config\.json cannot be used: it has 183\.0 MB; the most that is read is 8\.0 MB/,
  },
  {
    name: 'a link to nothing for a graph',
    make: (folder) => {
      rmSync(path.join(folder, 'onnx/model.onnx'));
      symlinkSync('../blobs/gone', path.join(folder, 'onnx/model.onnx'));
    },
    says: /onnx\/model\.onnx cannot be used: it is missing/,
  },
  {
    name: 'a graph not fetched',
    files: { 'onnx/model.onnx': LFS },
    says: /Git LFS pointer.*git lfs pull/,
  },
  {
    name: 'a tokenizer not fetched',
    files: { 'tokenizer.json': LFS },
    says: /tokenizer\.json is a Git LFS pointer/,
  },
  {
    name: 'a pickle',
    files: { 'onnx/model.onnx': undefined, 'pytorch_model.bin': 'x' },
    says: /it holds .*pytorch_model\.bin.*; missing: an ONNX graph\. .*is a pickle.*optimum-cli export onnx/,
  },
  {
    name: 'safetensors',
    files: { 'onnx/model.onnx': undefined, 'model.safetensors': 'x' },
    says: /model\.safetensors: .*optimum-cli export onnx/,
  },
  {
    name: 'TensorFlow',
    files: { 'onnx/model.onnx': undefined, 'tf_model.h5': 'x' },
    says: /tf_model\.h5 is of another framework.*optimum-cli/,
  },
  {
    name: 'an adapter',
    files: { 'onnx/model.onnx': undefined, 'adapter_model.safetensors': 'x' },
    says: /adapter alone.*merge_and_unload/,
  },
  {
    name: 'a tokenizer alone',
    files: { 'onnx/model.onnx': undefined, 'config.json': undefined },
    says: /missing: config\.json, an ONNX graph.*hf download/,
  },
  {
    name: 'a graph alone',
    files: { 'config.json': undefined, 'tokenizer.json': undefined },
    says: /missing: config\.json.*hf download/,
  },
  {
    name: 'a SentencePiece model alone',
    files: { 'tokenizer.json': undefined, 'spiece.model': 'x' },
    says: /tokenizer\.json cannot be used: it is missing; .*spiece\.model alone.*save_pretrained/,
  },
  {
    name: 'an encoder',
    files: { 'config.json': { architectures: ['RobertaModel'] }, 'onnx/model.onnx': undefined },
    says: /RobertaModel, an encoder without a classification head/,
  },
  {
    name: 'a wrong plimsoll.json',
    files: { 'plimsoll.json': { lables: [] } },
    says: /plimsoll\.json cannot be used: .*"lables"/,
  },
];

const REAL = tinyGraph({ external: 'model.onnx_data' });

/** What is wrong with a graph, beside nothing that could be served. */
const UNUSABLE: typeof ODD = [
  {
    name: 'an empty graph',
    files: { 'onnx/model.onnx': '' },
    says: /missing: a whole graph \(onnx\/model\.onnx \(0 bytes\).*it is empty.*hf download/,
  },
  {
    name: 'half a graph',
    files: { 'onnx/model.onnx': GRAPH.subarray(0, 900) },
    says: /onnx\/model\.onnx \(900 bytes\) cannot be read as an ONNX graph/,
  },
  {
    name: 'a page for a graph',
    files: { 'onnx/model.onnx': '<!DOCTYPE html><html>Not found</html>' },
    says: /cannot be read as an ONNX graph.*hf download ORG\/NAME onnx\/model\.onnx/,
  },
  {
    name: 'a graph without its data',
    files: { 'onnx/model.onnx': REAL },
    says: /it holds config\.json, .*onnx\/model\.onnx_data cannot be used: it is missing.*hf download ORG\/NAME onnx\/model\.onnx_data/,
  },
  {
    name: 'a graph whose data was not fetched',
    files: { 'onnx/model.onnx': REAL, 'onnx/model.onnx_data': LFS },
    says: /onnx\/model\.onnx_data is a Git LFS pointer/,
  },
  ...['config.json', 'tokenizer_config.json', 'plimsoll.json'].map((file) => ({
    name: `${file} not fetched`,
    files: { [file]: LFS },
    says: /is a Git LFS pointer.*git lfs pull/,
  })),
  {
    name: 'a pickle not fetched',
    files: { 'onnx/model.onnx': undefined, 'pytorch_model.bin': LFS },
    says: /pytorch_model\.bin is a Git LFS pointer/,
  },
  {
    name: 'a vocabulary of a class that is not made here',
    files: {
      'tokenizer.json': undefined,
      'vocab.txt': 'a',
      'config.json': { model_type: 'roformer' },
    },
    says: /RoFormer.*jieba/,
  },
  {
    name: 'labels by keys that are no numbers',
    files: { 'config.json': { id2label: { zero: 'a', one: 'b' } } },
    says: /id2label has the key "zero".*plimsoll\.json/,
  },
];

/** What is wrong with a file that is not needed: the folder is served all the same, and says so. */
const SPARE: readonly {
  readonly name: string;
  readonly files: Files;
  readonly graph?: string;
  readonly says?: RegExp;
}[] = [
  { name: 'a pickle not fetched', files: { 'pytorch_model.bin': LFS } },
  {
    name: 'a graph not fetched',
    files: { 'onnx/model_fp16.onnx': LFS },
    says: /model_fp16\.onnx is a Git LFS pointer/,
  },
  {
    name: 'half a graph that would go first',
    files: { 'onnx/model.onnx': GRAPH.subarray(0, 900), 'model.onnx': GRAPH },
    graph: 'model.onnx',
    says: /onnx\/model\.onnx \(900 bytes\) cannot be read/,
  },
  {
    name: 'a graph without its data, beside a whole one of 8 bits',
    files: { 'onnx/model.onnx': REAL, 'onnx/model_quantized.onnx': bareGraph('q8') },
    graph: 'onnx/model_quantized.onnx',
    says: /onnx\/model\.onnx_data cannot be used: it is missing/,
  },
  {
    name: 'an encoder’s graph where a classifier’s is elsewhere',
    files: {
      'onnx/model.onnx': tinyGraph({ output: 'last_hidden_state' }),
      'model.onnx': GRAPH,
    },
    graph: 'model.onnx',
  },
  {
    name: 'an architecture of an unknown head, whose graph has logits',
    files: { 'config.json': { architectures: ['RobertaForRanking'] } },
  },
  {
    name: 'an encoder by its architecture, whose owner names labels',
    files: {
      'config.json': { architectures: ['RobertaModel'] },
      'plimsoll.json': { labels: ['no', 'yes'] },
    },
  },
  {
    name: 'a graph two levels deep',
    files: { 'onnx/model.onnx': undefined, 'onnx/int8/model.onnx': GRAPH },
    graph: 'onnx/int8/model.onnx',
  },
  {
    name: 'an export with files of its own beside a pickle',
    files: {
      ...{ 'onnx/model.onnx': undefined, 'pytorch_model.bin': 'x' },
      ...{ 'export/model.onnx': GRAPH, 'export/config.json': {}, 'export/tokenizer.json': {} },
    },
    graph: 'export/model.onnx',
  },
];

describe('one folder', () => {
  test.each(UNUSABLE)('with $name is refused', async ({ files, says }) => {
    const root = temporaryFolder();
    writeModel(root, 'odd', files);
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list()).toEqual([]);
    expect(repository.listBroken()).toEqual([{ id: 'odd', reason: expect.stringMatching(says) }]);
  });

  test.each(SPARE)('with $name is served', async ({ files, graph = 'onnx/model.onnx', says }) => {
    const root = temporaryFolder();
    writeModel(root, 'odd', files);
    const model = await new ModelRepository(root).find('odd');
    expect(model.graphFile).toBe(graph);
    const leftOut = model.description.decisions.filter(({ about }) => about === 'graph left out');
    expect(leftOut).toHaveLength(says === undefined ? 0 : 1);
    if (says !== undefined) expect(leftOut[0]?.from).toMatch(says);
  });

  test('answers under the names that are listed, and no other', async () => {
    const root = temporaryFolder();
    writeModel(root, 'outer');
    writeModel(root, 'outer/export');
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['outer']);
    await expect(repository.find('outer/export')).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
    });
  });
});

describe('among the models', () => {
  test.each(ODD)('$name', async ({ files, make, says }) => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    make?.(writeModel(root, 'odd', files));
    if (make === undefined) writeModel(root, 'odd', files);
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['good']);
    expect(repository.listBroken()).toEqual([{ id: 'odd', reason: expect.stringMatching(says) }]);
    await expect(repository.find('odd')).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(repository.find('odd')).rejects.toThrow(says);
  });

  test('links in a circle, to the root of the disk, to nothing', async () => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    symlinkSync('/', path.join(root, 'disk'));
    symlinkSync('.', path.join(root, 'self'));
    symlinkSync('b', path.join(root, 'a'));
    symlinkSync('a', path.join(root, 'b'));
    symlinkSync('gone', path.join(root, 'lost'));
    mkdirSync(path.join(root, 'org'));
    symlinkSync('..', path.join(root, 'org/up'));
    pipe(path.join(root, 'pipe'));
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['good']);
    const reasons = Object.fromEntries(
      repository.listBroken().map(({ id, reason }) => [id, reason]),
    );
    expect(Object.keys(reasons).sort()).toEqual(['a', 'b', 'disk', 'lost', 'org/up', 'self']);
    expect(reasons.disk).toMatch(/a link to a folder that holds it/);
    expect(reasons.a).toMatch(/leads back to itself/);
    expect(reasons.lost).toMatch(/a link to nothing/);
  });

  test('a link to a folder of very many', async () => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    writeModel(root, 'last');
    const many = temporaryFolder();
    for (let at = 0; at < 1200; at += 1) mkdirSync(path.join(many, `folder-${at}`));
    symlinkSync(many, path.join(root, 'huge'));
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['good', 'last']);
    expect(repository.listBroken()).toEqual([
      { id: 'huge', reason: expect.stringMatching(/more than 1000 folders/) },
    ]);
  });

  test('a folder that may not be read', async () => {
    const root = temporaryFolder();
    chmodSync(root, 0o755);
    writeModel(root, 'good');
    chmodSync(writeModel(root, 'closed'), 0o000);
    const repository = new ModelRepository(root);
    await asNobody(() => repository.scan());
    chmodSync(path.join(root, 'closed'), 0o700);
    expect(repository.list().map(({ id }) => id)).toEqual(['good']);
    expect(repository.listBroken()).toEqual([
      { id: 'closed', reason: expect.stringMatching(/permission denied/) },
    ]);
  });

  test('a name that is no UTF-8', async () => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    mkdirSync(Buffer.concat([Buffer.from(`${root}/b`), Buffer.of(0xff), Buffer.from('d')]));
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['good']);
    expect(repository.listBroken()[0]?.reason).toMatch(/not valid UTF-8: rename/);
  });

  test('two folders whose names are one id: the second is said to be', async () => {
    const root = temporaryFolder();
    writeModel(root, 'caf\u00e9');
    writeModel(root, 'cafe\u0301');
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list()).toHaveLength(1);
    expect(repository.listBroken()[0]?.reason).toMatch(/another folder has the same name/);
  });
});

describe('a folder named by --models', () => {
  test('may be one model’s own', async () => {
    const folder = writeModel(temporaryFolder(), 'my model');
    const repository = new ModelRepository(folder);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['my model']);
    expect((await repository.find('my model')).directory).toBe(folder);
    await expect(repository.find('other')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  test.each([
    ['pytorch_model.bin', /pytorch_model\.bin is a pickle/],
    ['tokenizer.json', /missing: .*config\.json/],
    ['model.safetensors', /missing: .*config\.json/],
  ])(
    'may be one model’s own that has nothing but %s: it says what is missing',
    async (file, says) => {
      const folder = path.join(temporaryFolder(), 'mine');
      write(folder, { [file]: 'x' });
      const repository = new ModelRepository(folder);
      await repository.scan();
      expect(repository.listBroken()).toMatchObject([
        { id: 'mine', reason: expect.stringMatching(says) },
      ]);
    },
  );

  test('is a folder of models in spite of a stray tokenizer', async () => {
    const root = temporaryFolder();
    writeModel(root, 'a');
    rmSync(path.join(root, 'a/config.json'));
    write(root, { 'vocab.txt': '[UNK]' });
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.listBroken().map(({ id }) => id)).toEqual(['a']);
  });

  test('is a folder of models in spite of a stray file', async () => {
    const root = temporaryFolder();
    writeModel(root, 'a');
    write(root, { 'config.json': {}, 'tokenizer.json': {} });
    const repository = new ModelRepository(root);
    await repository.scan();
    expect(repository.list().map(({ id }) => id)).toEqual(['a']);
  });

  test('may be a hub’s cache, a model’s folder in it, or a snapshot', async () => {
    const cache = temporaryFolder();
    const folder = path.join(cache, 'models--org--name');
    writeModel(folder, 'snapshots/old', { 'plimsoll.json': { alias: 'old' } });
    writeModel(folder, 'snapshots/new');
    write(folder, { 'refs/main': 'old\n' });
    mkdirSync(path.join(cache, '.locks'));
    for (const root of [cache, folder, path.join(folder, 'snapshots/old')]) {
      const repository = new ModelRepository(root);
      await repository.scan();
      expect(repository.list().map(({ id }) => id)).toEqual(['org/name']);
      expect((await repository.find('org/name')).aliases).toEqual(['old']);
    }
    const repository = new ModelRepository(cache);
    expect((await repository.find('org/name')).directory).toBe(path.join(folder, 'snapshots/old'));
  });
});

describe('names', () => {
  test('of plimsoll.json stand for the model', async () => {
    const root = temporaryFolder();
    writeModel(root, 'real', { 'plimsoll.json': { alias: ['other', 'ünï'] } });
    const repository = new ModelRepository(root);
    await repository.scan();
    expect((await repository.find('other')).id).toBe('real');
    expect(repository.known('ünï')?.id).toBe('real');
  });

  test.each([
    ['plain', 'plain'],
    ['a b.c-d', 'a b.c-d'],
    ['cafe\u0301', 'caf\u00e9'],
    ['a\nb', 'a%0Ab'],
    ['a\\b', 'a%5Cb'],
    ['100%', '100%25'],
    ['🚀', '🚀'],
  ])('%j becomes %j, and is found under either', async (name, id) => {
    expect(idPartOf(name)).toBe(id);
    const root = temporaryFolder();
    writeModel(root, name);
    expect((await new ModelRepository(root).find(name)).id).toBe(id);
    expect((await new ModelRepository(root).find(id)).id).toBe(id);
  });

  test('that are near are told', () => {
    const ids = ['spam', 'org/sentiment-en', 'toxicity', 'completely-else'];
    expect(nearIds('span', ids)).toEqual(['spam']);
    expect(nearIds('Sentiment_EN', ids)).toEqual(['org/sentiment-en']);
    expect(nearIds('toxictiy', ids)).toEqual(['toxicity']);
    expect(nearIds('qqqqqq', ids)).toEqual([]);
  });

  test('the error names broken folders that are near', async () => {
    const root = temporaryFolder();
    writeModel(root, 'good');
    writeModel(root, 'sentiment', { 'config.json': { architectures: ['BertForMaskedLM'] } });
    const repository = new ModelRepository(root);
    await repository.scan();
    await expect(repository.find('sentimant')).rejects.toThrow(
      /there is no model "sentimant"; there is good; sentiment cannot be served: .*BertForMaskedLM/,
    );
  });
});

test('a graph’s copy in another folder changes nothing of which is taken', async () => {
  const root = temporaryFolder();
  const folder = writeModel(root, 'm');
  mkdirSync(path.join(folder, 'old'));
  copyFileSync(path.join(folder, 'onnx/model.onnx'), path.join(folder, 'old/model.onnx'));
  writeFileSync(path.join(folder, 'model_O2.onnx'), GRAPH);
  const model = await new ModelRepository(root).find('m');
  expect(model.graphFile).toBe('onnx/model.onnx');
  expect(model.graphs.map(({ file }) => file)).toEqual([
    'onnx/model.onnx',
    'model_O2.onnx',
    'old/model.onnx',
  ]);
});
