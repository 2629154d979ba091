/**
 * Odd folders, one a line: each is put together from a layout, names, what config.json says, and a form of the graph,
 * is compiled and run, and gives the scores that its table of weights gives by hand.
 */
import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { temporaryFolder, write } from './folders.js';
import { served } from './served.js';
import { type GraphForm, logitsByHand, tableBytes, tinyGraph } from './tiny-graph.js';

const CONTROL = fileURLToPath(new URL('../../fixtures/models/control', import.meta.url));
const TEXTS = [
  'hello',
  'this film was good',
  'spam spam spam: not very good, or is it?',
  'The world of it and you (love) it',
  `${'free money click here now '.repeat(30)}`,
];
const MAX_TOKENS = 64;

type Function_ = 'softmax' | 'sigmoid' | 'none';

interface Folder {
  /** Its path below the models folder, and the id under which it is asked for. */
  readonly name?: string;
  readonly id?: string;
  /** Where its files lie. */
  readonly layout?: (folder: string) => void;
  readonly graphFile?: string;
  readonly graph?: GraphForm;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, unknown>>;
  readonly labels?: readonly string[];
  readonly function?: Function_;
  /** Part of what must be decided about it. */
  readonly rows?: string;
  readonly refused?: RegExp;
}

const BERT = {
  architectures: ['BertForSequenceClassification'],
  model_type: 'bert',
  pad_token_id: 0,
};

function make(root: string, of: Folder): string {
  const folder = path.join(root, of.name ?? 'model');
  const graphFile = path.join(folder, of.graphFile ?? 'onnx/model.onnx');
  mkdirSync(path.dirname(graphFile), { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(path.join(CONTROL, file), path.join(folder, file));
  }
  const config = { ...BERT, max_position_embeddings: 512, ...of.config };
  write(folder, { 'config.json': config, ...of.files });
  writeFileSync(graphFile, tinyGraph(of.graph ?? {}));
  of.layout?.(folder);
  return folder;
}

function byHand(logits: readonly number[], function_: Function_): readonly number[] {
  if (function_ === 'none') return logits;
  if (function_ === 'sigmoid') return logits.map((value) => 1 / (1 + Math.exp(-value)));
  const powers = logits.map((value) => Math.exp(value - Math.max(...logits)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b, 0));
}

/** A longer text alone, and all of them together: each has the scores of its own tokens. */
async function expectRight(of: Folder): Promise<void> {
  const root = temporaryFolder();
  make(root, of);
  const id = of.id ?? of.name ?? 'model';
  const serving = served(root, id, temporaryFolder());
  if (of.refused !== undefined) {
    await expect(serving).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(serving).rejects.toThrow(of.refused);
    return;
  }
  const model = await serving;
  const { labels = 2 } = of.graph ?? {};
  const names = of.labels ?? Array.from({ length: labels }, (_, at) => `LABEL_${at}`);
  expect(model.labels).toEqual(names);
  if (of.rows !== undefined) expect(model.findings.plan.grouping).toBe(of.rows);
  const tolerance = of.graph?.outputType === 'float16' ? 5e-3 : 1e-5;
  const check = async (texts: readonly string[]) => {
    const answers = await model.ask(texts);
    for (const [at, text] of texts.entries()) {
      const { ids, types = ids.map(() => 0) } = model.encoder.encode(text);
      const form = of.graph ?? {};
      expect(ids.length).toBeLessThanOrEqual(
        Math.min(MAX_TOKENS, Number(form.length) || MAX_TOKENS),
      );
      const right = byHand(logitsByHand(ids, types, form), of.function ?? 'softmax');
      for (const [label, name] of names.entries()) {
        expect(Math.abs((answers[at]?.[name] ?? 99) - (right[label] ?? 0))).toBeLessThan(tolerance);
      }
    }
  };
  for (const text of TEXTS) await check([text]);
  await check(TEXTS);
  await check([...TEXTS].reverse());
  await model.release();
}

/** Moves files of the folder. */
const moved =
  (...moves: readonly (readonly [string, string])[]) =>
  (folder: string): void => {
    for (const [from, to] of moves) {
      mkdirSync(path.dirname(path.join(folder, to)), { recursive: true });
      renameSync(path.join(folder, from), path.join(folder, to));
    }
  };

/** As the hub's cache keeps a model: contents apart, linked into a snapshot. */
function asInHubCache(folder: string): void {
  const [snapshot, blobs] = [path.join(folder, 'snapshots/abc'), path.join(folder, 'blobs')];
  mkdirSync(path.join(snapshot, 'onnx'), { recursive: true });
  mkdirSync(blobs);
  write(folder, { 'refs/main': 'abc' });
  for (const file of [
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'onnx/model.onnx',
  ]) {
    const blob = file.replace('/', '-');
    renameSync(path.join(folder, file), path.join(blobs, blob));
    symlinkSync(
      path.join('..', '..', file.includes('/') ? '..' : '', 'blobs', blob),
      path.join(snapshot, file),
    );
  }
}

const LAYOUTS: readonly Folder[] = [
  { graphFile: 'model.onnx' },
  { graphFile: 'onnx/model.onnx' },
  { graphFile: 'export/some graph.onnx' },
  { graphFile: 'model_quantized.onnx' },
  { graphFile: 'onnx/model_O2.onnx' },
  { layout: moved(['tokenizer.json', 'onnx/tokenizer.json']) },
  { layout: moved(['config.json', 'onnx/config.json'], ['tokenizer.json', 'onnx/tokenizer.json']) },
  { name: 'models--org--some.name', id: 'org/some.name', layout: asInHubCache },
  { name: 'org/name' },
  { name: 'my model v1.0' },
  { name: '-dash' },
  { name: 'ünïcödé – 模型 🚀' },
  { name: 'cafe\u0301', id: 'caf\u00e9' },
  { name: '100%', id: '100%' },
  { name: 'a~b@q8' },
  { files: { '1_Pooling/config.json': {}, 'onnx/broken.onnx': 'no graph' } },
];

const LABELS: readonly Folder[] = [
  { config: { id2label: { 0: 'neg', 1: 'pos' } }, labels: ['neg', 'pos'] },
  { config: { label2id: { a: 0, b: 1, c: 2 } }, graph: { labels: 3 }, labels: ['a', 'b', 'c'] },
  { config: { id2label: { 0: 0, 1: 1 } }, labels: ['0', '1'] },
  { config: { id2label: { 2: 'x' } }, graph: { labels: 3 }, labels: ['LABEL_0', 'LABEL_1', 'x'] },
  { config: { num_labels: 4 }, graph: { labels: 4 } },
  { config: { num_labels: 4 }, refused: /2 outputs.*speaks of 4/ },
  { files: { 'plimsoll.json': { labels: ['ham', 'spam'] } }, labels: ['ham', 'spam'] },
  { files: { 'plimsoll.json': { labels: ['one'] } }, refused: /plimsoll\.json names 1 labels/ },
];

const FUNCTIONS: readonly Folder[] = [
  { config: { problem_type: 'multi_label_classification' }, function: 'sigmoid' },
  { config: { problem_type: 'regression' }, function: 'none' },
  { graph: { labels: 1 }, function: 'sigmoid' },
  { graph: { labels: 1 }, config: { problem_type: 'regression' }, function: 'none' },
  {
    config: { sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' } },
    function: 'none',
  },
  { files: { 'plimsoll.json': { function: 'sigmoid' } }, function: 'sigmoid' },
];

/** Graphs that end in a function: it is not applied a second time, whatever the files say. */
const ENDINGS: readonly Folder[] = [
  { graph: { ending: 'Softmax' }, function: 'softmax' },
  { graph: { ending: 'Softmax', output: 'scores', labels: 3 }, function: 'softmax' },
  { graph: { ending: 'Softmax', outputType: 'double' }, function: 'softmax' },
  { graph: { ending: 'Sigmoid' }, function: 'sigmoid' },
  { graph: { ending: 'Sigmoid', labels: 1 }, function: 'sigmoid' },
  { graph: { ending: 'Sigmoid', labels: 1, squeezed: true }, function: 'sigmoid' },
  {
    graph: { ending: 'Softmax' },
    config: { problem_type: 'multi_label_classification' },
    function: 'softmax',
  },
  {
    graph: { ending: 'Sigmoid' },
    config: { problem_type: 'regression' },
    function: 'sigmoid',
  },
  {
    graph: { ending: 'Sigmoid' },
    files: { 'plimsoll.json': { function: 'softmax' } },
    function: 'softmax',
  },
  {
    graph: { ending: 'Sigmoid' },
    files: { 'plimsoll.json': { function: 'none' } },
    function: 'sigmoid',
  },
  {
    graph: { ending: 'Softmax' },
    files: { 'plimsoll.json': { function: 'sigmoid' } },
    refused: /plimsoll\.json asks for sigmoid: the model’s graph ends in Softmax/,
  },
];

const GRAPHS: readonly Folder[] = [
  { graph: { type: 'int32' }, rows: 'together' },
  { graph: { maskType: 'float' }, rows: 'together' },
  { graph: { type: 'int32', maskType: 'int64' } },
  { graph: { names: ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] } },
  { graph: { names: ['input_ids', 'attention_mask', '', ''] } },
  { graph: { names: ['input_ids', '', '', ''] }, rows: 'equal length' },
  { graph: { names: ['ids', '', '', ''], type: 'int32' }, rows: 'equal length' },
  { graph: { names: ['input', 'mask', 'segment', ''] } },
  { graph: { names: ['input_word_ids', 'input_mask', 'input_type_ids', ''], type: 'int32' } },
  {
    graph: {
      names: [
        'serving_default_input_ids:0',
        'serving_default_attention_mask:0',
        'serving_default_token_type_ids:0',
        '',
      ],
    },
  },
  { graph: { names: ['input.1', 'attention_mask.1', '', ''] } },
  { graph: { names: ['a', 'b', '', ''] }, rows: 'together' },
  { graph: { rows: 1 }, rows: 'one by one' },
  { graph: { rows: 3 } },
  { graph: { length: 32 } },
  { graph: { rows: 1, length: 48 } },
  // What pads change, however little, is found.
  { graph: { leak: 1e-4 }, rows: 'equal length' },
  { graph: { length: 32, leak: 0.1 }, refused: /exactly 32 tokens, .*: export it with a free/ },
  {
    graph: { length: 32, names: ['input_ids', '', '', ''] },
    refused: /as it has no attention_mask/,
  },
  // Places begin with the text, whichever side the tokenizer pads.
  {
    graph: { length: 64, positions: 64, placed: 0.01 },
    files: { 'tokenizer_config.json': { padding_side: 'left', model_max_length: 64 } },
  },
  // Ids and mask in an order and under names that say nothing.
  { graph: { names: ['a', 'b', '', ''], reversed: true }, rows: 'together' },
  { graph: { names: ['a', 'b', '', ''], reversed: true, rows: 1 }, rows: 'one by one' },
  { graph: { output: 'output_0' } },
  { graph: { before: 'last_hidden_state' } },
  { graph: { before: 'pooler_output' } },
  { graph: { before: 'pooler_output', output: 'scores' } },
  { graph: { outputType: 'float16' } },
  { graph: { outputType: 'double' } },
  { graph: { labels: 1, squeezed: true }, function: 'sigmoid' },
  { graph: { branch: true } },
  { graph: { branch: true, type: 'int32', labels: 3 } },
  {
    graph: { names: ['input_ids', 'pixel_values', '', ''] },
    refused: /inputs are input_ids, pixel_values/,
  },
  {
    graph: {
      names: ['input_ids', 'attention_mask', '', ''],
      more: ['global_attention_mask'],
    },
    rows: 'together',
  },
  { graph: { more: ['task_type_ids'] }, rows: 'together' },
  {
    graph: { names: ['input_ids', 'attention_mask', '', ''], more: ['langs'] },
    refused: /what langs takes is not known/,
  },
  {
    graph: { names: ['input_ids', 'attention_mask', '', ''], more: ['pinyin_ids'] },
    refused: /what pinyin_ids takes is not known/,
  },
  { graph: { output: 'last_hidden_state' }, refused: /outputs are last_hidden_state/ },
];

const named = (folders: readonly Folder[]) =>
  folders.map((folder): [string, Folder] => {
    const { layout, refused, ...rest } = folder;
    return [`${JSON.stringify(rest)}${layout === undefined ? '' : ` ${layout.name}`}`, folder];
  });

describe('a folder gives its scores, alone and together, or is refused with the reason', () => {
  test.each(named(LAYOUTS))('layout %s', (_name, folder) => expectRight(folder), 180_000);
  test.each(named(LABELS))('labels %s', (_name, folder) => expectRight(folder), 180_000);
  test.each(named(FUNCTIONS))('function %s', (_name, folder) => expectRight(folder), 180_000);
  test.each(named(ENDINGS))('ending %s', (_name, folder) => expectRight(folder), 180_000);
  test.each(named(GRAPHS))('graph %s', (_name, folder) => expectRight(folder), 180_000);

  test('whatever is put together', async () => {
    const any = fc.record({
      layout: fc.constantFrom(...LAYOUTS),
      function: fc.constantFrom(...FUNCTIONS),
      graph: fc.constantFrom(...GRAPHS.filter(({ refused }) => refused === undefined)),
    });
    await fc.assert(
      fc.asyncProperty(any, async ({ layout, function: asked, graph }) => {
        const labels = graph.graph?.squeezed === true ? 1 : (asked.graph?.labels ?? 2);
        await expectRight({
          ...{ ...layout, ...asked, files: { ...layout.files, ...asked.files } },
          graph: { ...graph.graph, labels },
          function:
            labels === 1 && asked.config === undefined && asked.files === undefined
              ? 'sigmoid'
              : (asked.function ?? 'softmax'),
        });
      }),
      { numRuns: 8, seed: 20_261_126 },
    );
  }, 900_000);
});

test('a row whose scores depend on its neighbours runs alone', async () => {
  const root = temporaryFolder();
  make(root, { graph: { neighbours: true } });
  const model = await served(root, 'model', temporaryFolder());
  expect(model.findings.plan.grouping).toBe('one by one');
  const alone: unknown[] = [];
  for (const text of TEXTS) alone.push((await model.ask([text]))[0]);
  expect(await model.ask(TEXTS)).toEqual(alone);
  await model.release();
});

test('an answer that is not finite is refused, and only that', async () => {
  const root = temporaryFolder();
  make(root, { graph: { infinite: true }, config: { id2label: { 0: 'a', 1: 'b' } } });
  const model = await served(root, 'model', temporaryFolder());
  const tokens = JSON.stringify(model.encoder.encode('hello').ids);
  expect(tokens).not.toContain('7,');
  expect(await model.ask(['hello'])).toHaveLength(1);
  const native = await model.encoder.native();
  await expect(model.ask([native.tokenOf(7)])).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
  await model.release();
});

test('a graph and its data that are linked into different folders are read', async () => {
  const root = temporaryFolder();
  const folder = make(root, { graph: { external: 'model.onnx_data' } });
  const [graphs, data] = [temporaryFolder(), temporaryFolder()];
  renameSync(path.join(folder, 'onnx/model.onnx'), path.join(graphs, '111'));
  writeFileSync(path.join(data, '222'), tableBytes(2));
  symlinkSync(path.join(graphs, '111'), path.join(folder, 'onnx/model.onnx'));
  symlinkSync(path.join(data, '222'), path.join(folder, 'onnx/model.onnx_data'));
  const model = await served(root, 'model', temporaryFolder());
  expect(model.model.weights).toEqual(['onnx/model.onnx', 'onnx/model.onnx_data']);
  const { ids } = model.encoder.encode('hello');
  const right = byHand(logitsByHand(ids, [], {}), 'softmax');
  expect((await model.ask(['hello']))[0]?.LABEL_0).toBeCloseTo(right[0] ?? 9, 5);
  await model.release();
});

test('data outside of the model’s folder is refused, and so is data that is missing', async () => {
  const root = temporaryFolder();
  make(root, { name: 'out', graph: { external: '../../secret' } });
  make(root, { name: 'gone', graph: { external: 'gone.data' } });
  writeFileSync(path.join(root, 'secret'), tableBytes(2));
  await expect(served(root, 'out', temporaryFolder())).rejects.toThrow(/outside of the model/);
  await expect(served(root, 'gone', temporaryFolder())).rejects.toThrow(
    /onnx\/gone\.data cannot be used: it is missing/,
  );
});
