/** Every door of one server: the reference's scores, the protocols' own clients, the snippets of docs/doors.md. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { InferenceClient } from '@huggingface/inference';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { post, request, type Server, startServer } from './harness.js';
import {
  type Expected,
  expectedOf as expectedOfFolder,
  REFERENCE,
  type Scores,
} from './reference.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Names that the documents use, and whose weights they are. */
const NAMES = {
  nli: 'zs-bert',
  ner: 'ner-bert',
  reranker: 'rerank-bert',
  identity: 'rerank-bert',
  'org/pairs': 'pair-bert',
} as const;
type Name = keyof typeof NAMES;
const LABELS = '{"moderations": {"spam": {"categories": ["illicit"], "from": 0.5}}}';

type LabelScores = readonly { readonly label: string; readonly score: number }[];

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-doors-'));
  for (const [name, folder] of Object.entries(NAMES)) {
    mkdirSync(path.join(models, name), { recursive: true });
    cpSync(path.join(REFERENCE, folder), path.join(models, name), { recursive: true });
  }
  // As cross-encoders declare it: protocols that give probabilities do not read it.
  const config = path.join(models, 'identity/config.json');
  const { ...files } = JSON.parse(readFileSync(config, 'utf8')) as object;
  const sentence_transformers = { activation_fn: 'torch.nn.modules.linear.Identity' };
  writeFileSync(config, JSON.stringify({ ...files, sentence_transformers }));
  cpSync(path.join(ROOT, 'models/spam'), path.join(models, 'spam'), { recursive: true });
  writeFileSync(path.join(models, 'spam/plimsoll.json'), LABELS);
  server = await startServer({ models });
}, 120_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

const expectedOf = (name: Name): Expected => expectedOfFolder(NAMES[name]);

function expectScores(got: LabelScores, expected: Scores, tolerance: number): void {
  const scores = Object.fromEntries(got.map(({ label, score }) => [label, score]));
  expect(Object.keys(scores).sort()).toEqual(Object.keys(expected).sort());
  for (const [label, score] of Object.entries(expected)) {
    expect(Math.abs((scores[label] ?? Number.NaN) - score)).toBeLessThan(tolerance);
  }
}

type Input = string | { readonly text: string; readonly text_pair: string };

/** How each door is asked for the labels of texts and pairs, and what it answers. */
const CLASSIFY: Readonly<
  Record<string, (name: Name, inputs: readonly Input[]) => Promise<readonly LabelScores[]>>
> = {
  'Hugging Face': (name, inputs) => post(server, `/models/${name}`, { inputs }),
  TEI: (name, inputs) =>
    post(server, `/tei/${name}/predict`, {
      inputs: inputs.map((of) => (typeof of === 'string' ? [of] : [of.text, of.text_pair])),
    }),
};

describe.each(Object.entries(CLASSIFY))('%s', (_door, ask) => {
  test.each(Object.keys(NAMES).filter((name) => name !== 'ner') as Name[])(
    'gives the scores of texts and of pairs: %s',
    async (name) => {
      const { texts, scores, tolerance, pairs = [] } = expectedOf(name);
      for (const [index, got] of (await ask(name, texts)).entries()) {
        expectScores(got, scores[index] ?? {}, tolerance);
      }
      if (pairs.length === 0) return;
      const asked = pairs.map(({ text, text_pair }) => ({ text, text_pair }));
      for (const [index, got] of (await ask(name, asked)).entries()) {
        expectScores(got, pairs[index]?.scores ?? {}, tolerance);
      }
    },
    60_000,
  );
});

test('vLLM gives the scores of texts by the index of the label, and of pairs', async () => {
  const { texts, scores, tolerance } = expectedOf('org/pairs');
  const config = JSON.parse(
    readFileSync(path.join(REFERENCE, 'pair-bert/config.json'), 'utf8'),
  ) as {
    readonly id2label: Readonly<Record<string, string>>;
  };
  interface Classified {
    readonly data: readonly { readonly probs: readonly number[]; readonly label: string }[];
  }
  const { data } = await post<Classified>(server, '/classify', {
    model: 'org/pairs',
    input: texts,
  });
  for (const [index, { probs }] of data.entries()) {
    const got = probs.map((score, at) => ({ label: config.id2label[at] ?? '', score }));
    expectScores(got, scores[index] ?? {}, tolerance);
  }
  const { pairs } = expectedOf('reranker');
  const body = {
    model: 'reranker',
    text_1: pairs.map(({ text }) => text),
    text_2: pairs.map(({ text_pair }) => text_pair),
  };
  const scored = await post<{ data: readonly { readonly score: number }[] }>(
    server,
    '/score',
    body,
  );
  for (const [index, { score }] of scored.data.entries()) {
    expectScores([{ label: 'LABEL_0', score }], pairs[index]?.scores ?? {}, tolerance);
  }
}, 60_000);

test('TEI, vLLM and Cohere rank as the reference does', async () => {
  interface Ranked {
    readonly results: readonly { readonly index: number; readonly relevance_score: number }[];
  }
  for (const { query, documents, scores, order } of expectedOf('reranker').rerank) {
    const rank = { query, documents, model: 'reranker' };
    const identity = [server, '/tei/identity/rerank', { query, texts: documents }] as const;
    const tei = await post<readonly { index: number; score: number }[]>(
      server,
      '/tei/reranker/rerank',
      {
        ...{ query, texts: documents },
      },
    );
    const ranks = [tei, await post<typeof tei>(...identity)];
    for (const url of ['/rerank', '/v1/rerank', '/v2/rerank']) {
      const { results } = await post<Ranked>(server, url, rank);
      ranks.push(results.map(({ index, relevance_score }) => ({ index, score: relevance_score })));
    }
    for (const found of ranks) {
      expect(found.map(({ index }) => index)).toEqual(order);
      for (const { index, score } of found)
        expect(score).toBeCloseTo(scores[index] ?? Number.NaN, 4);
    }
  }
}, 60_000);

test('Hugging Face gives the labels of zero-shot as the reference does', async () => {
  const { zero_shot: all, tolerance } = expectedOf('nli');
  for (const { text, labels, scores, ...parameters } of all) {
    const { candidate_labels, multi_label, hypothesis_template } = parameters;
    const got = await post<LabelScores>(server, '/hf/nli', {
      ...{ inputs: text, parameters: { candidate_labels, multi_label, hypothesis_template } },
    });
    expect(got.map(({ label }) => label)).toEqual(labels);
    for (const [index, { score }] of got.entries()) {
      expect(Math.abs(score - (scores[index] ?? Number.NaN))).toBeLessThan(tolerance);
    }
  }
}, 60_000);

test('Hugging Face gives the entities of the reference', async () => {
  const { texts, token_classification: all } = expectedOf('ner');
  interface Shown {
    readonly entity?: string;
    readonly entity_group?: string;
    readonly index?: number;
    readonly score: number;
    readonly word: string;
    readonly start: number;
    readonly end: number;
  }
  for (const { text, entities, aggregation_strategy, stride, ignore_labels } of all) {
    const got = await post<readonly Shown[]>(server, '/models/ner', {
      ...{ inputs: texts[text], parameters: { aggregation_strategy, stride, ignore_labels } },
    });
    const places = got.map((of) => [of.entity ?? of.entity_group, of.word, of.start, of.end]);
    expect(places).toEqual(
      entities.map(([label, , word, start, end]) => [label, word, start, end]),
    );
    for (const [index, { score }] of got.entries()) {
      expect(score).toBeCloseTo(entities[index]?.[1] ?? Number.NaN, 4);
    }
  }
}, 60_000);

describe('clients', () => {
  test('@huggingface/inference, by the address of a model and by that of the server', async () => {
    const client = new InferenceClient();
    const at = (address: string) => ({ endpointUrl: `${server.url}${address}` });
    const [first] = await client.textClassification({
      ...at('/'),
      model: 'any',
      inputs: 'a prize',
    });
    expect(first).toEqual({ label: expect.any(String), score: expect.any(Number) });
    const zero = await client.zeroShotClassification({
      ...at('/models/nli'),
      inputs: 'a film',
      parameters: { candidate_labels: ['x', 'y'] },
    });
    expect(zero).toHaveLength(2);
    const [text = ''] = expectedOf('ner').texts;
    const [entity] = await client.tokenClassification({ ...at('/hf/ner'), inputs: text });
    expect(entity).toHaveProperty('entity_group');
    await expect(client.textClassification({ ...at('/models/none'), inputs: 'a' })).rejects.toThrow(
      /there is no model "none"/,
    );
  }, 60_000);

  test('openai: results for each input, what nobody assessed, refusals', async () => {
    const client = new OpenAI({
      baseURL: `${server.url}/openai/v1`,
      apiKey: 'none',
      maxRetries: 0,
    });
    const input = ['Click here to claim your prize', 'See you at lunch'];
    const { results } = await client.moderations.create({ model: 'spam', input });
    expect(results).toHaveLength(2);
    expect(results[0]?.flagged).toBe(true);
    expect(results[0]?.category_applied_input_types).toMatchObject({ illicit: ['text'], hate: [] });
    expect(results[0]?.categories).toMatchObject({ 'illicit/violent': null, hate: false });
    const names: string[] = [];
    for await (const { id } of client.models.list()) names.push(id);
    expect(names).toEqual([...Object.keys(NAMES), 'spam'].sort());
    await expect(client.moderations.create({ model: 'nli', input })).rejects.toMatchObject({
      ...{
        status: 400,
        code: 'task_not_supported',
        message: expect.stringContaining('plimsoll.json'),
      },
    });
    // Parts are one input, of which the worst counts; texts are one each.
    const parts = [...input].reverse().map((text) => ({ type: 'text' as const, text }));
    const whole = await client.moderations.create({ model: 'spam', input: parts });
    expect(whole.results.map(({ category_scores: scores }) => scores.illicit)).toEqual([
      results[0]?.category_scores.illicit,
    ]);
    const image = { type: 'image_url' as const, image_url: { url: 'https://example.org/a.png' } };
    await expect(
      client.moderations.create({ model: 'spam', input: [image] }),
    ).rejects.toMatchObject({ status: 400, code: 'invalid_input' });
  }, 60_000);
});

describe('errors', () => {
  const POST: readonly (readonly [string, unknown, number, unknown])[] = [
    ['/models/spam', { inputs: '' }, 422, { error: 'inputs is empty' }],
    [
      '/models/spam',
      { inputs: 'a', parameters: { stride: 1 } },
      400,
      { error: expect.any(String) },
    ],
    ['/tei/predict', { inputs: [] }, 400, { error_type: 'Empty' }],
    ['/predict', { inputs: 'a', truncate: 'x' }, 422, { error_type: 'Validation' }],
    [
      '/predict',
      { inputs: 'word '.repeat(4000), truncate: false },
      422,
      { error_type: 'Validation' },
    ],
    ['/tei/none/predict', { inputs: 'a' }, 404, { error_type: 'Validation' }],
    ['/tei/spam/rerank', { query: 'a', texts: ['b'] }, 424, { error_type: 'Backend' }],
    ['/tei/ner/predict', { inputs: 'a' }, 424, { error_type: 'Backend' }],
    ['/classify', { input: 'a', model: 'none' }, 404, { object: 'error', type: 'NotFoundError' }],
    ['/score', { text_1: ['a', 'b'], text_2: ['c'], model: 'reranker' }, 400, { code: 400 }],
    ['/v1/moderations', {}, 400, { error: { type: 'invalid_request_error' } }],
  ];

  test.each(POST)(
    'POST %s: %j gets %i in the form of the protocol',
    async (url, body, status, shape) => {
      const reply = await request(server, 'POST', url, { body });
      expect({ status: reply.status, body: reply.body }).toMatchObject({ status, body: shape });
    },
  );

  test.each([
    ['/models/spam', { error: expect.any(String) }],
    ['/tei/predict', { error_type: 'Validation' }],
    ['/openai/v1/moderations', { error: { code: 'malformed_json' } }],
    ['/score', { object: 'error', code: 400 }],
  ])('a body for %s that is no JSON gets 400 in the form of the protocol', async (url, shape) => {
    const reply = await request(server, 'POST', url, { raw: '{' });
    expect({ status: reply.status, body: reply.body }).toMatchObject({ status: 400, body: shape });
  });
});

test('TEI tells its times, its model and its tokens', async () => {
  const { headers } = await request(server, 'POST', '/predict', { body: { inputs: 'a' } });
  expect(headers).toMatchObject({
    'x-compute-time': expect.stringMatching(/^\d+$/),
    'x-inference-time': expect.stringMatching(/^\d+$/),
    'x-plimsoll-session': expect.stringMatching(/./),
  });
  const info = await request(server, 'GET', '/tei/reranker/info');
  expect(info.body).toMatchObject({
    model_id: 'reranker',
    model_type: { reranker: { id2label: {} } },
    // One of 64 tokens runs beside others: the settings' 2,048 characters.
    ...{ max_input_length: 64, max_batch_tokens: 341, max_batch_requests: 16 },
    ...{ sha: null, docker_label: null },
  });
  expect((await request(server, 'GET', '/health')).status).toBe(200);
  const [tokens] = await post<
    readonly { readonly start: number | null; readonly stop: number | null }[][]
  >(...[server, '/tokenize', { inputs: 'häuser' }]);
  expect(tokens?.at(0)).toMatchObject({ special: true, start: null });
  expect(tokens?.at(-2)).toMatchObject({ stop: Buffer.byteLength('häuser') });
});

test('TEI gives all tokens of a text that is longer than the model takes', async () => {
  const text = 'The plot was slow. '.repeat(100);
  type Tokens = readonly { readonly id: number; readonly stop: number | null }[];
  const [[once = []] = [], [long = []] = []] = await Promise.all(
    [text.slice(0, 19), text].map((inputs) =>
      post<readonly Tokens[]>(server, '/tei/reranker/tokenize', { inputs }),
    ),
  );
  const idsOf = (tokens: Tokens) => tokens.slice(1, -1).map(({ id }) => id);
  expect(idsOf(long)).toEqual(Array.from({ length: 100 }, () => idsOf(once)).flat());
  expect(long.at(-2)?.stop).toBe(text.length - 1);
  const body = { inputs: ['a'.repeat(2 ** 20), 'b'] };
  const refused = await request(server, 'POST', '/tokenize', { body });
  expect(refused.body).toMatchObject({
    ...{ error_type: 'Validation', error: expect.stringContaining('1048577 characters') },
  });
});

/** The snippets of docs/doors.md, by language. */
const SNIPPETS = [
  ...readFileSync(path.join(ROOT, 'docs/doors.md'), 'utf8').matchAll(/```(sh|js)\n([\s\S]*?)```/g),
].map(([, language = '', code = '']) => [language, code] as const);

test('the document has a command and a program for each door', () => {
  expect(SNIPPETS.map(([language]) => language)).toEqual(Array(6).fill(['sh', 'js']).flat());
});

test.each(SNIPPETS)(
  'a snippet of the document runs: %s %s',
  async (language, code) => {
    const mine = code.replaceAll('http://localhost:8000', server.url);
    const [program, args] =
      language === 'sh'
        ? ['bash', ['-ec', mine]]
        : [process.execPath, ['--input-type=module', '--eval', mine]];
    const { stdout } = await promisify(execFile)(program, args, { cwd: ROOT, timeout: 30_000 });
    expect(stdout.trim()).not.toBe('');
  },
  60_000,
);
