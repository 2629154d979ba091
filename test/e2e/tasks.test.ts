/** Pairs, zero-shot, reranking and token classification by a real server, held against the reference's values. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PlimsollClient } from '../../src/client/client.js';
import type { Answer } from '../../src/contract/classify.js';
import type {
  RerankAnswer,
  TokenClassificationAnswer,
  ZeroShotAnswer,
} from '../../src/contract/doors/tasks.js';
import { post, request, type Server, startServer, temporaryFolder } from './harness.js';
import { expectedOf, REFERENCE, type Scores } from './reference.js';
import { writeForms } from './reference-forms.js';
import { expectError } from './shapes.js';

/** The first of each: graphs and checkpoints alike are read by the unit tests. */
const NAMES = readdirSync(REFERENCE).filter((name) => /^(pair|rerank|zs|ner)-/.test(name));
const named = (kind: RegExp) => NAMES.filter((name) => kind.test(name));
/** Calls that are made one by one as well as together. */
const ALONE = 3;

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-tasks-'));
  for (const name of NAMES)
    cpSync(path.join(REFERENCE, name), path.join(models, name), { recursive: true });
  const data = path.join(await temporaryFolder(), 'data');
  await writeForms(models, data);
  server = await startServer({ models, data });
}, 300_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

function byLabel(list: readonly { readonly label: string; readonly score: number }[]): Scores {
  return Object.fromEntries(list.map(({ label, score }) => [label, score]));
}

function expectScores(found: Scores, expected: Scores, tolerance: number): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [label, score] of Object.entries(expected)) {
    expect(Math.abs((found[label] ?? Number.NaN) - score)).toBeLessThanOrEqual(tolerance);
  }
}

describe.each(named(/^(pair|rerank)-/))('%s', (model) => {
  const { pairs, tolerance, rerank = [] } = expectedOf(model);

  test('pairs, together and alone, have the reference’s scores', async () => {
    const inputs = pairs.map(({ text, text_pair }) => ({ text, text_pair }));
    for (const [index, input] of inputs.slice(0, ALONE).entries()) {
      const alone = await post<Answer>(server, '/v1/classify', { model, inputs: input });
      expect(alone.cached).toEqual([false]);
      expectScores(byLabel(alone.results[0] ?? []), pairs[index]?.scores ?? {}, tolerance);
    }
    const whole = await post<Answer>(server, '/v1/classify', { model, inputs });
    expect(whole.truncated).toEqual(pairs.map(({ truncated }) => truncated));
    for (const [index, { scores }] of pairs.entries()) {
      expectScores(byLabel(whole.results[index] ?? []), scores, tolerance);
    }
    const again = await post<Answer>(server, '/v1/classify', { model, inputs });
    expect(new Set(again.cached)).toEqual(new Set(['memory']));
  });

  if (rerank.length === 0) return;

  test('documents come best first, with the reference’s scores', async () => {
    for (const { query, documents, scores, order } of rerank) {
      const body = { model, query, documents };
      const { results } = await post<RerankAnswer>(server, '/v1/reranking', body);
      expect(results.map(({ index }) => index)).toEqual(order);
      for (const { index, score } of results) {
        expect(Math.abs(score - (scores[index] ?? Number.NaN))).toBeLessThanOrEqual(tolerance);
      }
    }
  });
});

describe.each(named(/^zs-/))('%s', (model) => {
  test('zero-shot labels have the reference’s scores and order', async () => {
    const { zero_shot: calls, tolerance } = expectedOf(model);
    for (const { text, labels, scores, candidate_labels, multi_label, ...rest } of calls) {
      const { hypothesis_template } = rest;
      const body = { model, inputs: text, candidate_labels, multi_label, hypothesis_template };
      const address = '/v1/zero-shot-classification';
      const { results } = await post<ZeroShotAnswer>(server, address, body);
      expect(results[0]?.map(({ label }) => label)).toEqual(labels);
      for (const [index, { score }] of (results[0] ?? []).entries()) {
        expect(Math.abs(score - (scores[index] ?? Number.NaN))).toBeLessThanOrEqual(tolerance);
      }
    }
  });
});

describe.each(named(/^ner-/))('%s', (model) => {
  test('entities have the reference’s labels, words, places and scores', async () => {
    const { token_classification: calls, texts, tolerance } = expectedOf(model);
    for (const { text, entities, aggregation_strategy, stride, ignore_labels } of calls) {
      const asked = { aggregation_strategy, stride, ignore_labels };
      const body = { model, inputs: texts[text], ...asked };
      const address = '/v1/token-classification';
      const { results } = await post<TokenClassificationAnswer>(server, address, body);
      const [found = []] = results;
      expect(found.map(({ label, word, start, end }) => [label, word, start, end])).toEqual(
        entities.map(([label, , word, start, end]) => [label, word, start, end]),
      );
      for (const [index, { score }] of found.entries()) {
        const [, expected = Number.NaN] = entities[index] ?? [];
        expect(Math.abs(score - expected)).toBeLessThanOrEqual(tolerance);
      }
    }
  });
});

test('one label more costs one more row', async () => {
  const ask = (...candidate_labels: readonly string[]) =>
    post<ZeroShotAnswer>(server, '/v1/zero-shot-classification', {
      ...{ model: 'zs-bert', inputs: 'rows are cached one by one', candidate_labels },
    });
  expect((await ask('cinema', 'music')).cached).toEqual([false]);
  expect((await ask('music')).cached).toEqual(['memory']);
  expect((await ask('music', 'trains')).cached).toEqual([false]);
});

test('what a model cannot do is refused, with what it can and what it takes', async () => {
  const refused = (address: string, body: object) => request(server, 'POST', address, { body });
  const candidate_labels = ['a', 'b'];
  expectError(
    await refused('/v1/zero-shot-classification', {
      model: 'pair-bert',
      inputs: 'x',
      candidate_labels,
    }),
    'TASK_NOT_SUPPORTED',
    /does text-classification; .*entail/,
  );
  expectError(
    await refused('/v1/reranking', { model: 'zs-bert', query: 'x', documents: ['y'] }),
    'TASK_NOT_SUPPORTED',
    /single output/,
  );
  expectError(
    await refused('/v1/token-classification', { model: 'zs-bert', inputs: 'x' }),
    'TASK_NOT_SUPPORTED',
    /ForTokenClassification/,
  );
  expectError(
    await refused('/v1/classify', { model: 'ner-bert', inputs: 'x' }),
    'TASK_NOT_SUPPORTED',
    /does token-classification/,
  );
});

test('templates, strides and numbers of rows that mean nothing are refused', async () => {
  const zeroShot = (body: object) =>
    request(server, 'POST', '/v1/zero-shot-classification', {
      body: { model: 'zs-bert', inputs: 'x', candidate_labels: ['a', 'b'], ...body },
    });
  expectError(await zeroShot({ hypothesis_template: 'none' }), 'INVALID_REQUEST', /\{\} once/);
  expectError(await zeroShot({ hypothesis_template: '{} {x}' }), 'INVALID_REQUEST', /brace/);
  expectError(await zeroShot({ candidate_labels: [] }), 'INVALID_REQUEST', /candidate_labels/);
  const inputs = Array.from({ length: 600 }, (_, index) => `text ${index}`);
  expectError(await zeroShot({ inputs }), 'INVALID_INPUT', /1200 rows/);
  const long = 'word '.repeat(500);
  expectError(await zeroShot({ candidate_labels: [long] }), 'INVALID_REQUEST', /candidate_labels/);
  const tokens = (body: object) =>
    request(server, 'POST', '/v1/token-classification', {
      body: { model: 'ner-bert', inputs: 'x', ...body },
    });
  expectError(await tokens({ stride: 8 }), 'INVALID_REQUEST', /aggregation/);
  expectError(
    await tokens({ stride: 64, aggregation_strategy: 'simple' }),
    'INVALID_REQUEST',
    /stride is 64/,
  );
});

test('the typed client asks every task, and each is counted', async () => {
  const client = new PlimsollClient({ url: server.url });
  const [zeroShot] = expectedOf('zs-bert').zero_shot;
  if (zeroShot === undefined) throw new Error('there is no zero-shot call');
  const { text: inputs, candidate_labels, multi_label, hypothesis_template } = zeroShot;
  const counted = async () => {
    const { text } = await request(server, 'GET', '/metrics');
    const of = (name: string, task: string) =>
      Number(new RegExp(`^${name}\\{task="${task}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
    return ['zero-shot-classification', 'rerank', 'token-classification'].map((task) => [
      of('plimsoll_task_requests_total', task),
      of('plimsoll_task_rows_total', task),
    ]);
  };
  const before = await counted();
  const labels = await client.zeroShot({
    ...{ model: 'zs-bert', inputs, candidate_labels, multi_label, hypothesis_template },
  });
  expect(labels.results[0]?.map(({ label }) => label)).toEqual(zeroShot.labels);
  const [rerank] = expectedOf('rerank-bert').rerank;
  if (rerank === undefined) throw new Error('there is no reranking');
  const { query, documents, order } = rerank;
  const ranked = await client.rerank({ model: 'rerank-bert', query, documents });
  expect(ranked.results.map(({ index }) => index)).toEqual(order);
  const found = await client.tokens({
    ...{ model: 'ner-bert', inputs: ['Ada', 'Bob'], aggregation_strategy: 'simple' as const },
  });
  expect(found.results).toHaveLength(2);
  const rows = [candidate_labels.length, documents.length, 2];
  expect(await counted()).toEqual(
    before.map(([requests = 0, of = 0], at) => [requests + 1, of + (rows[at] ?? 0)]),
  );
  await expect(client.tokens({ model: 'zs-bert', inputs: 'x' })).rejects.toMatchObject({
    ...{ status: 422, code: 'TASK_NOT_SUPPORTED' },
  });
});
