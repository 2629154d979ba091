/** Graphs that classify tokens, in the forms that exporters write, against logits that are computed by hand. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { TokenEncoder } from '../../../src/models/run/token-encoder.js';
import { temporaryFolder, write } from './folders.js';
import { type Served, served } from './served.js';
import { type GraphForm, tinyGraph, tokenLogitsByHand } from './tiny-graph.js';

const CONTROL = fileURLToPath(new URL('../../fixtures/models/control', import.meta.url));
const TEXTS = [
  'hello',
  'this film was good',
  'The world of it and you (love) it',
  `${'free money click here now '.repeat(30)}`,
];
const LABELS = 3;
const ALL = { aggregation: 'none', ignoreLabels: [] } as const;

interface Files {
  readonly graph?: GraphForm;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>;
}

function make({ graph, config, tokenizerConfig }: Files): Promise<Served> {
  const root = temporaryFolder();
  const folder = path.join(root, 'model');
  mkdirSync(path.join(folder, 'onnx'), { recursive: true });
  copyFileSync(path.join(CONTROL, 'tokenizer.json'), path.join(folder, 'tokenizer.json'));
  write(folder, {
    'config.json': {
      ...{ architectures: ['BertForTokenClassification'], model_type: 'bert', pad_token_id: 0 },
      ...{ max_position_embeddings: 512, num_labels: LABELS, ...config },
    },
    'tokenizer_config.json': { model_max_length: 64, ...tokenizerConfig },
  });
  const form = { perToken: true, labels: LABELS, ...graph };
  writeFileSync(path.join(folder, 'onnx/model.onnx'), tinyGraph(form));
  return served(root, 'model', temporaryFolder());
}

function softmax(logits: readonly number[]): readonly number[] {
  const powers = logits.map(Math.exp);
  return powers.map((power) => power / powers.reduce((a, b) => a + b, 0));
}

/** The best label and its score of every token of the text. */
async function expectRight(model: Served, texts: readonly string[]): Promise<void> {
  const encoder = await TokenEncoder.open(model.encoder);
  const rows = await model.entitiesOf(
    texts,
    texts.map(() => ALL),
  );
  for (const [row, text] of texts.entries()) {
    const [chunk] = (await encoder.encode(text)).chunks;
    const ids = chunk?.encoding.ids ?? [];
    const right = tokenLogitsByHand(ids, LABELS).map(softmax).slice(1, -1);
    const entities = rows[row]?.entities ?? [];
    expect(entities).toHaveLength(ids.length - 2);
    for (const [at, scores] of right.entries()) {
      const [label, score] = [Number(entities[at]?.label.at(-1)), entities[at]?.score ?? 9];
      expect(scores[label] ?? 0).toBeCloseTo(Math.max(...scores), 5);
      expect(score).toBeCloseTo(Math.max(...scores), 5);
    }
  }
}

const NO_MASK = ['input_ids', '', '', ''];

describe('logits of each token, alone and in one batch', () => {
  test.each<readonly [string, Files, string]>([
    ['the usual one', {}, 'together'],
    ['int32', { graph: { type: 'int32' } }, 'together'],
    ['without a mask', { graph: { names: NO_MASK } }, 'equal length'],
    ['a single row', { graph: { rows: 1 } }, 'one by one'],
    ['a single row, squeezed away', { graph: { rows: 1, withoutRows: true } }, 'one by one'],
    ['three rows', { graph: { rows: 3 } }, 'together'],
    ['one length', { graph: { length: 32 } }, 'together'],
    ['padded on the left', { tokenizerConfig: { padding_side: 'left' } }, 'together'],
    ['hidden states first', { graph: { before: 'last_hidden_state' } }, 'together'],
    ['another name', { graph: { output: 'output_0' } }, 'together'],
    ['float64', { graph: { outputType: 'double' } }, 'together'],
  ])('%s', async (_name, files, grouping) => {
    const model = await make(files);
    expect(model.findings.plan).toMatchObject({ perToken: true, labelCount: LABELS, grouping });
    for (const text of TEXTS) await expectRight(model, [text]);
    await expectRight(model, TEXTS);
    await expectRight(model, [...TEXTS].reverse());
    await model.release();
  });

  test('rows that change one another run alone', async () => {
    const model = await make({ graph: { neighbours: true } });
    expect(model.findings.plan.grouping).toBe('one by one');
    const alone: unknown[] = [];
    for (const text of TEXTS) alone.push(...(await model.entitiesOf([text], [ALL])));
    const options = TEXTS.map(() => ALL);
    expect(await model.entitiesOf(TEXTS, options)).toEqual(alone);
    await model.release();
  });
});

describe('files and a graph that contradict one another are refused', () => {
  const architectures = ['BertForSequenceClassification'];

  test.each<readonly [string, Files, RegExp]>([
    [
      'scores of texts',
      { graph: { perToken: false } },
      /\[1, 3\] where scores for each of 5 tokens/,
    ],
    ['scores of tokens', { config: { architectures } }, /scores of tokens.*ForTokenClassification/],
    ['more labels', { graph: { labels: 2 } }, /2 outputs.*speaks of 3/],
    ['hidden states alone', { graph: { output: 'last_hidden_state' } }, /for each token, though/],
  ])('%s', async (_name, files, reason) => {
    const making = make(files);
    await expect(making).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(making).rejects.toThrow(reason);
  });
});
