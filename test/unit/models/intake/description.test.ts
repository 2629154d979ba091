import { describe, expect, test } from 'vitest';
import { describeModel } from '../../../../src/models/intake/description.js';
import { type Files, temporaryFolder, writeModel } from '../folders.js';

const CONFIG = { id2label: { '0': 'a', '1': 'b' } };

function describeWith(changes: Files): Promise<unknown> {
  return describeModel(writeModel(temporaryFolder(), 'm', changes));
}

test('reads task, labels, scheme, room and padding', async () => {
  expect(await describeWith({})).toEqual({
    task: 'text-classification',
    scheme: 'single-label',
    labels: ['ham', 'spam'],
    maxTokens: 128,
    padTokenId: 0,
  });
});

test('multi-label comes from problem_type alone', async () => {
  const config = { ...CONFIG, problem_type: 'multi_label_classification', pad_token_id: 7 };
  expect(await describeWith({ 'config.json': config })).toMatchObject({
    scheme: 'multi-label',
    padTokenId: 7,
  });
});

test('labels stand at their index, whatever their order in the file', async () => {
  const id2label = Object.fromEntries(
    Array.from({ length: 12 }, (_, n) => [String(11 - n), `L${11 - n}`]),
  );
  expect(await describeWith({ 'config.json': { id2label } })).toMatchObject({
    labels: Array.from({ length: 12 }, (_, n) => `L${n}`),
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
    ['512 where nobody says', {}, {}, 512],
    ['without the positions that RoBERTa loses', roberta, {}, 512],
    [
      'without those of XLM-R with another padding',
      { ...roberta, model_type: 'xlm-roberta', pad_token_id: 3 },
      {},
      510,
    ],
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
    [
      'broken tokenizer_config.json',
      { 'tokenizer_config.json': '' },
      'tokenizer_config.json cannot be used: ',
    ],
    ['no labels', { 'config.json': {} }, 'id2label is missing'],
    ['an empty table of labels', { 'config.json': { id2label: {} } }, 'id2label has 0 labels'],
    [
      'a hole in the labels',
      { 'config.json': { id2label: { '0': 'a', '2': 'b' } } },
      'no text for output 1',
    ],
    [
      'a label that is no text',
      { 'config.json': { id2label: { '0': 1 } } },
      'no text for output 0',
    ],
    [
      'another task',
      { 'config.json': { ...CONFIG, architectures: ['BertForMaskedLM'] } },
      'BertForMaskedLM',
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
