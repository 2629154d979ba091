import { describe, expect, test } from 'vitest';
import {
  describeModel,
  describe as describeWidth,
  type ModelDescription,
  readDeclaration,
  thresholdOf,
} from '../../../../src/models/intake/description.js';
import type { Overrides } from '../../../../src/models/intake/reading/overrides.js';
import { type Files, temporaryFolder, writeModel } from '../folders.js';

const CONFIG = { id2label: { '0': 'a', '1': 'b' } };

function describeWith(changes: Files): Promise<ModelDescription> {
  return describeModel(writeModel(temporaryFolder(), 'm', changes));
}

test('reads task, labels, function, room and padding', async () => {
  expect(await describeWith({})).toMatchObject({
    task: 'text-classification',
    scoring: 'softmax',
    labels: ['ham', 'spam'],
    maxTokens: 128,
    padTokenId: 0,
    paddingSide: 'right',
    truncationSide: undefined,
  });
});

test('says what decided each of them', async () => {
  const { decisions } = await describeWith({});
  expect(decisions).toEqual([
    { about: 'task', value: 'text-classification', from: 'config.json: architectures' },
    { about: 'labels', value: 'ham, spam', from: 'config.json: id2label' },
    { about: 'function', value: 'softmax', from: '2 outputs, and no other problem_type' },
    { about: 'max_tokens', value: '128', from: 'tokenizer_config.json: model_max_length' },
  ]);
});

describe('token classification', () => {
  const config = { ...CONFIG, architectures: ['BertForTokenClassification'] };

  test('is told by the architecture; its function is softmax, whatever the files say', async () => {
    const changes = { 'config.json': { ...config, problem_type: 'multi_label_classification' } };
    const { task, scoring, decisions } = await describeWith(changes);
    expect({ task, scoring }).toEqual({ task: 'token-classification', scoring: 'softmax' });
    const from = 'config.json: architectures';
    expect(decisions).toContainEqual({ about: 'task', value: 'token-classification', from });
  });

  test('the first architecture with a head counts', async () => {
    const taskOf = async (...architectures: readonly string[]) =>
      (await describeWith({ 'config.json': { ...config, architectures } })).task;
    const [token, text] = ['RobertaForTokenClassification', 'RobertaForSequenceClassification'];
    expect(await taskOf('RobertaModel', token, text)).toBe('token-classification');
    expect(await taskOf(text, token)).toBe('text-classification');
    expect(await taskOf()).toBe('text-classification');
  });

  test('what an owner says of the scores of texts is refused by name', async () => {
    const folder = writeModel(temporaryFolder(), 'm', { 'config.json': config });
    const files = { config: `${folder}/config.json` };
    const reading = (overrides: Overrides) => readDeclaration(files, overrides);
    await expect(reading({ function: 'sigmoid', thresholds: { a: 0.5 } })).rejects.toMatchObject({
      code: 'MODEL_UNUSABLE',
      message: expect.stringMatching(/^plimsoll\.json names function, thresholds,/),
    });
    const { task } = await reading({ labels: ['a', 'b'], maxTokens: 64 });
    expect(task).toBe('token-classification');
  });
});

/** What config.json says of labels, the outputs of the graph, and the labels of the answer. */
const LABELS: readonly (readonly [string, Files, number, readonly string[]])[] = [
  ['id2label', CONFIG, 2, ['a', 'b']],
  ['nothing', {}, 2, ['LABEL_0', 'LABEL_1']],
  ['nothing, one output', {}, 1, ['LABEL_0']],
  ['nothing, five outputs', {}, 5, ['LABEL_0', 'LABEL_1', 'LABEL_2', 'LABEL_3', 'LABEL_4']],
  ['an empty id2label', { id2label: {} }, 2, ['LABEL_0', 'LABEL_1']],
  ['a hole', { id2label: { 0: 'a', 2: 'c' } }, 3, ['a', 'LABEL_1', 'c']],
  ['null', { id2label: { 0: null, 1: 'b' } }, 2, ['LABEL_0', 'b']],
  ['numbers', { id2label: { 0: 0, 1: 1, 2: 2 } }, 3, ['0', '1', '2']],
  ['truth values', { id2label: { 0: false, 1: true } }, 2, ['false', 'true']],
  ['a list', { id2label: ['x', 'y'] }, 2, ['x', 'y']],
  ['numbers from 1', { id2label: { 1: 'a', 2: 'b' } }, 2, ['a', 'b']],
  ['numbers with gaps', { id2label: { 30: 'c', 4: 'a', 7: 'b' } }, 3, ['a', 'b', 'c']],
  ['label2id alone', { label2id: { neg: 0, neu: 1, pos: 2 } }, 3, ['neg', 'neu', 'pos']],
  ['label2id with texts for numbers', { label2id: { a: '1', b: '0' } }, 2, ['b', 'a']],
  ['label2id beside id2label', { id2label: { 0: 'a' }, label2id: { x: 0, b: 1 } }, 2, ['a', 'b']],
  ['num_labels alone', { num_labels: 3 }, 3, ['LABEL_0', 'LABEL_1', 'LABEL_2']],
  ['fewer names than outputs', { id2label: { 0: 'a' } }, 2, ['a', 'LABEL_1']],
];

describe('labels', () => {
  test.each(LABELS)('%s', async (_case, config, labelCount, labels) => {
    const folder = writeModel(temporaryFolder(), 'm', { 'config.json': config });
    const declaration = await readDeclaration({ config: `${folder}/config.json` });
    const measured = { labelCount, maxTokens: 512, decisions: [] };
    expect(describeWidth(declaration, measured).labels).toEqual(labels);
  });

  test('stand at their index, whatever their order in the file', async () => {
    const names = Array.from({ length: 12 }, (_, n) => [String(11 - n), `L${11 - n}`]);
    const config = { id2label: Object.fromEntries(names) };
    expect(await describeWith({ 'config.json': config })).toMatchObject({
      labels: Array.from({ length: 12 }, (_, n) => `L${n}`),
    });
  });

  test.each([
    ['more names than outputs', { id2label: { 0: 'a', 1: 'b', 2: 'c' } }, 2],
    ['another num_labels', { num_labels: 3 }, 2],
  ])('that contradict the graph are refused: %s', async (_case, config, labelCount) => {
    const folder = writeModel(temporaryFolder(), 'm', { 'config.json': config });
    const declaration = await readDeclaration({ config: `${folder}/config.json` });
    const describing = () =>
      describeWidth(declaration, { labelCount, maxTokens: 512, decisions: [] });
    expect(describing).toThrow(/2 outputs.*speaks of 3.*plimsoll\.json/);
  });

  test('of a data set that had too many are refused', async () => {
    const names = Array.from({ length: 100_001 }, (_, n) => [String(n), 'x']);
    const config = { id2label: Object.fromEntries(names) };
    await expect(describeWith({ 'config.json': config })).rejects.toThrow('100001 labels');
  });
});

describe('a threshold in plimsoll.json', () => {
  const described = async (thresholds: Readonly<Record<string, number>>, labels = ['a', 'b']) => {
    const id2label = Object.fromEntries(labels.entries());
    const folder = writeModel(temporaryFolder(), 'm', { 'config.json': { id2label } });
    const declaration = await readDeclaration({ config: `${folder}/config.json` }, { thresholds });
    return describeWidth(declaration, {
      ...{ labelCount: labels.length, maxTokens: 512, decisions: [] },
    });
  };

  test('for a label that there is none of is refused, with the labels that there are', async () => {
    await expect(described({ a: 0.5, spma: 0.8 })).rejects.toMatchObject({
      code: 'MODEL_UNUSABLE',
      message: 'plimsoll.json has a threshold for the label "spma"; its labels are a, b',
    });
  });

  test('is that of its label alone, whatever its name', async () => {
    const description = await described({ a: 0.5 }, ['a', 'constructor']);
    expect(thresholdOf(description, 'a')).toBe(0.5);
    expect(thresholdOf(description, 'constructor')).toBeUndefined();
  });
});

describe('the function', () => {
  const activation = (name: string) => ({ activation_fn: `torch.nn.modules.${name}` });

  test.each<[string, Files, string]>([
    ['multi-label', { problem_type: 'multi_label_classification' }, 'sigmoid'],
    ['single-label', { problem_type: 'single_label_classification' }, 'softmax'],
    ['regression', { problem_type: 'regression' }, 'none'],
    ['regression of one', { problem_type: 'regression', num_labels: 1, id2label: {} }, 'none'],
    ['one output', { num_labels: 1, id2label: {} }, 'sigmoid'],
    ['a cross-encoder', { sentence_transformers: activation('linear.Identity') }, 'none'],
    [
      'a cross-encoder of before',
      { sbert_ce_default_activation_function: 'torch.nn.modules.activation.Sigmoid' },
      'sigmoid',
    ],
    [
      'a cross-encoder before problem_type',
      { problem_type: 'regression', sentence_transformers: activation('activation.Sigmoid') },
      'sigmoid',
    ],
  ])('%s: %j → %s', async (_case, config, scoring) => {
    expect(await describeWith({ 'config.json': { ...CONFIG, ...config } })).toMatchObject({
      scoring,
    });
  });

  test('in a file of its own goes before the others', async () => {
    const folder = writeModel(temporaryFolder(), 'm', {
      'config_sentence_transformers.json': activation('activation.Softmax'),
      'config.json': { ...CONFIG, sentence_transformers: activation('activation.Sigmoid') },
    });
    const files = {
      config: `${folder}/config.json`,
      sentenceTransformers: `${folder}/config_sentence_transformers.json`,
    };
    expect(describeWidth(await readDeclaration(files)).scoring).toBe('softmax');
  });

  test('that cannot be applied is refused, unless the owner names another', async () => {
    const config = { ...CONFIG, sentence_transformers: activation('activation.Tanh') };
    const folder = writeModel(temporaryFolder(), 'm', { 'config.json': config });
    const files = { config: `${folder}/config.json` };
    await expect(readDeclaration(files)).rejects.toThrow(/Tanh.*plimsoll\.json overrides/);
    const declaration = await readDeclaration(files, { function: 'none' });
    expect(describeWidth(declaration).scoring).toBe('none');
  });
});

describe('room for tokens', () => {
  const roberta = { model_type: 'roberta', max_position_embeddings: 514, pad_token_id: 1 };

  test.each([
    [
      'the tokenizer’s where it is smaller',
      { max_position_embeddings: 512 },
      { model_max_length: 128 },
      128,
    ],
    [
      'the table’s where that is smaller',
      { max_position_embeddings: 64 },
      { model_max_length: 128 },
      64,
    ],
    [
      'the table’s where the tokenizer does not know',
      { max_position_embeddings: 512 },
      { model_max_length: 1e30 },
      512,
    ],
    ['the tokenizer’s where there is no table', {}, { model_max_length: 99 }, 99],
    ['an old name for it', {}, { max_len: 77 }, 77],
    ['512 where nobody says', {}, {}, 512],
    ['without the positions that RoBERTa loses', roberta, {}, 512],
    [
      'without those of XLM-R with another padding',
      { ...roberta, model_type: 'xlm-roberta', pad_token_id: 3 },
      {},
      510,
    ],
    ['of MPNet', { ...roberta, model_type: 'mpnet' }, {}, 512],
    ['of XLM-R XL', { ...roberta, model_type: 'xlm-roberta-xl' }, {}, 512],
    [
      'nonsense counts as not said',
      { max_position_embeddings: -5 },
      { model_max_length: '128' },
      512,
    ],
    ['fractions count as not said', { max_position_embeddings: 100.5 }, {}, 512],
  ])('%s', async (_rule, config, tokenizer, maxTokens) => {
    const changes = { 'config.json': { ...CONFIG, ...config }, 'tokenizer_config.json': tokenizer };
    expect(await describeWith(changes)).toMatchObject({ maxTokens });
  });

  test('a model without a tokenizer_config.json is one where the tokenizer does not say', async () => {
    expect(await describeWith({ 'tokenizer_config.json': undefined })).toMatchObject({
      maxTokens: 256,
    });
  });

  test('is less where the graph was measured to take less', async () => {
    const folder = writeModel(temporaryFolder(), 'm');
    const declaration = await readDeclaration({ config: `${folder}/config.json` });
    const measured = { labelCount: 2, maxTokens: 60, decisions: [] };
    const { maxTokens, decisions } = describeWidth(declaration, measured);
    expect(maxTokens).toBe(60);
    expect(decisions.at(-1)?.from).toContain('as measured');
  });
});

describe('sides', () => {
  test.each([
    [{}, undefined, 'right'],
    [{ truncation_side: 'left' }, 'left', 'right'],
    [{ truncation_side: 'right', padding_side: 'left' }, 'right', 'left'],
    [{ padding_side: 3 }, undefined, 'right'],
  ])('%j', async (tokenizer, truncationSide, paddingSide) => {
    expect(await describeWith({ 'tokenizer_config.json': tokenizer })).toMatchObject({
      truncationSide,
      paddingSide,
    });
  });
});

test('JSON as Python writes it', async () => {
  const config = '\ufeff{"id2label": {"0": "NaN", "1": "-Infinity"}, "x": NaN, "y": [-Infinity]}';
  expect((await describeWith({ 'config.json': config })).labels).toEqual(['NaN', '-Infinity']);
});

describe('refuses with the file and the reason', () => {
  test.each([
    [
      'config.json is missing',
      { 'config.json': undefined },
      'config.json cannot be used: it is missing',
    ],
    ['broken JSON', { 'config.json': '{' }, 'config.json cannot be used: '],
    ['a list', { 'config.json': [] }, 'it does not hold a JSON object'],
    ['null', { 'config.json': 'null' }, 'it does not hold a JSON object'],
    ['a file of 9 MB', { 'config.json': `{"a": "${'x'.repeat(9e6)}"}` }, 'the most that is read'],
    [
      'broken tokenizer_config.json',
      { 'tokenizer_config.json': '' },
      'tokenizer_config.json cannot be used: ',
    ],
    [
      'another task',
      { 'config.json': { ...CONFIG, architectures: ['BertForMaskedLM'] } },
      /BertForMaskedLM.*another task/,
    ],
    [
      'an encoder alone',
      { 'config.json': { ...CONFIG, architectures: ['BertModel'] } },
      /BertModel, an encoder without a classification head/,
    ],
    [
      'no room',
      { 'config.json': { ...CONFIG, max_position_embeddings: 3 } },
      'room for 3 tokens only',
    ],
  ])('%s', async (_case, changes, message) => {
    const description = describeWith(changes);
    await expect(description).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(description).rejects.toThrow(message);
  });
});
