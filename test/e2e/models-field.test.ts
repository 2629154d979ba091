/** Model folders as people have them (test/fixtures/models), served by a real server. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Answer } from '../../src/contract/classify.js';
import {
  get,
  post,
  type Reply,
  request,
  run,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';

import { expectError } from './shapes.js';

const FOLDERS = fileURLToPath(new URL('../fixtures/models', import.meta.url));

interface Expected {
  readonly status: number;
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly scores: readonly Readonly<Record<string, number>>[];
  /** Of tokenizers. */
  readonly rows?: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

interface Detail {
  readonly state: string;
  readonly workers: readonly { readonly state: string }[];
  readonly decisions: readonly { readonly about: string; readonly value: string }[];
}

function expectedOf(id: string): Expected {
  const file = path.join(FOLDERS, id, 'expected.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Expected;
}

const ids = readdirSync(FOLDERS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const tokenizers = ids.filter((id) => expectedOf(id).rows !== undefined);
/** Folders that must be refused, and what the message must name. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'encoder-only': /BertModel/,
  'pytorch-bin-only': /pytorch_model\.bin is a pickle.*optimum-cli export onnx/,
};
/** May be refused with the remedy until their weights are compiled; wrong scores are never right. */
const MAY_BE_REFUSED: Readonly<Record<string, RegExp>> = {
  'safetensors-only': /model\.safetensors.*optimum-cli export onnx/,
};
const models = ids.filter((id) => !tokenizers.includes(id));
const served = models.filter((id) => REFUSED[id] === undefined);

const ask = (server: Server, model: string, inputs: string | readonly string[], more = {}) =>
  request<Answer>(server, 'POST', '/v1/classify', { body: { model, inputs, ...more } });
const detail = (server: Server, id: string) =>
  get<Detail>(server, `/v1/models/${encodeURIComponent(id)}`);

/** The answer has the right scores, or the refusal names what mends the folder. */
function expectRight(id: string, reply: Reply<Answer>, rows: readonly number[]): boolean {
  const { scores, tolerance } = expectedOf(id);
  const refusal = MAY_BE_REFUSED[id];
  if (reply.status !== 200 && refusal !== undefined) {
    expectError(reply, 'MODEL_UNUSABLE', refusal);
    return false;
  }
  expect(reply.status, reply.text).toBe(200);
  expect(reply.body.results).toHaveLength(rows.length);
  for (const [at, row] of rows.entries()) {
    const right = scores[row] ?? {};
    const list = reply.body.results[at] ?? [];
    expect(list.map(({ label }) => label).sort()).toEqual(Object.keys(right).sort());
    for (const { label, score } of list) {
      expect(Math.abs(score - (right[label] ?? 9)), `${label} of text ${row}`).toBeLessThanOrEqual(
        tolerance,
      );
    }
  }
  return true;
}

/** Folders with fp32 and with q8 alone; a faster form would be asked for less than 1e-4. */
const EXACT = { 'models.dtype': 'auto', 'verify.speedup': 100, 'verify.budget_ms': 1000 };
let data: string;

// Prepared before anybody asks: a request would not wait for that on a busy machine.
beforeAll(async () => {
  data = path.join(await temporaryFolder(), 'data');
  const set = Object.entries(EXACT).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const args = ['models', '--prepare', '--models', FOLDERS, '--data', data, ...set];
  const listed = await run(args, { withinMs: 1_700_000 });
  expect(listed.code, listed.stderr).toBe(1);
  expect(listed.stdout).toMatch(/^control: text-classification, 2 labels, fp32, .*mapped/m);
  expect(listed.stdout).toMatch(/^encoder-only: broken: .*BertModel/m);
}, 1_800_000);

describe('cold, computed and from the cache', () => {
  let server: Server;

  beforeAll(async () => {
    server = await startServer({
      models: FOLDERS,
      data,
      settings: { ...EXACT, 'models.gear': 'cold' },
    });
  });

  afterAll(() => server.stop());

  test.each(served)(
    '%s',
    async (id) => {
      const { texts } = expectedOf(id);
      const all = texts.map((_, row) => row);
      if (!expectRight(id, await ask(server, id, texts), all)) return;
      for (const row of all) {
        const reply = await ask(server, id, texts[row] ?? '');
        expectRight(id, reply, [row]);
        expect(reply.body.cached).toEqual(['memory']);
      }
    },
    180_000,
  );

  test.each(Object.entries(REFUSED))('%s is refused, with the remedy', async (id, says) => {
    expectError(await ask(server, id, 'hello'), 'MODEL_UNUSABLE', says);
    const shown = await detail(server, id);
    expect(shown).toMatchObject({ state: 'broken', reason: expect.stringMatching(says) });
  });

  test.each(tokenizers)('%s: its tokens', async (id) => {
    const { rows = [] } = expectedOf(id);
    const inputs = rows.map(({ text }) => text);
    const { results } = await post<{ results: { ids: number[]; count: number }[] }>(
      server,
      '/v1/tokenize',
      { model: id, inputs },
    );
    expect(results).toHaveLength(rows.length);
    for (const [at, { ids: right }] of rows.entries()) {
      const { ids: found = [], count } = results[at] ?? {};
      expect(count).toBe(found.length);
      // The file has the first 64 tokens of a longer text; a text that is cut ends with its last special token.
      const whole = right.length < 64 ? right.length : 63;
      expect(found.slice(0, whole)).toEqual(right.slice(0, whole));
      expect(found).toHaveLength(right.length);
    }
  });

  test('a request may ask for another function, and its answers are kept apart', async () => {
    const inputs = ['this film was good'];
    const own = (await ask(server, 'control', inputs)).body;
    const raw = (await ask(server, 'control', inputs, { function_to_apply: 'none' })).body;
    const each = (await ask(server, 'control', inputs, { function_to_apply: 'sigmoid' })).body;
    const again = (await ask(server, 'control', inputs, { function_to_apply: 'softmax' })).body;
    expect([raw.cached, each.cached, again.cached]).toEqual([[false], [false], ['memory']]);
    expect(again.results).toEqual(own.results);
    const scores = new Map(raw.results[0]?.map(({ label, score }) => [label, score]));
    const [neg = 0, pos = 0] = [scores.get('neg'), scores.get('pos')];
    for (const { label, score } of own.results[0] ?? []) {
      const logit = scores.get(label) ?? 0;
      expect(score).toBeCloseTo(Math.exp(logit) / (Math.exp(neg) + Math.exp(pos)), 5);
    }
    for (const { label, score } of each.results[0] ?? []) {
      expect(score).toBeCloseTo(1 / (1 + Math.exp(-(scores.get(label) ?? 0))), 5);
    }
  });

  test('raw numbers of either sign go through records too', async () => {
    const reply = await ask(server, 'one-label-regression', 'this film was good');
    const score = reply.body.results[0]?.[0]?.score ?? 1;
    expect(score).toBeLessThan(0);
    const kept = await until('it is recorded', async () => {
      const { records } = await get<{ records: { model: string; score: number }[] }>(
        server,
        '/v1/records?model=one-label-regression',
      );
      return records.length > 0 ? records : undefined;
    });
    expect(kept.map((record) => record.score)).toContain(score);
  });

  test('a model shows what was decided about it, and by what', async () => {
    const { decisions } = await detail(server, 'truncation-left');
    const of = (about: string) => decisions.find((each) => each.about === about)?.value;
    expect(of('graph')).toBe('onnx/model.onnx (fp32)');
    expect(of('labels')).toBe('neg, pos');
    expect(of('function')).toBe('softmax');
    expect(of('max_tokens')).toBe('64');
    expect(of('cut off')).toBe('left');
    expect(of('rows run')).toBe('together, padded on the right');
    expect(of('tokenizer')).toMatch(/^(javascript|native)$/);
  });

  test('tokens have their places in code points, and say what was cut off', async () => {
    const text = '😀 this é hello';
    const { results } = await post<{
      results: { tokens: string[]; offsets: [number, number][]; truncated: boolean }[];
    }>(server, '/v1/tokenize', { model: 'control', inputs: [text, 'good '.repeat(500)] });
    const points = [...text];
    const [first, second] = results;
    const at = first?.tokens.indexOf('this') ?? -1;
    const [begin, end] = first?.offsets[at] ?? [0, 0];
    expect(points.slice(begin, end).join('')).toBe('this');
    expect([first?.truncated, second?.truncated]).toEqual([false, true]);
  });

  test('no text can crash or stall a tokenizer, and none changes what comes of another', async () => {
    const before = await ask(server, 'control', 'one two three', { function_to_apply: 'none' });
    for (const text of ['\u00ad'.repeat(300_000), 'a'.repeat(100_000), '\u0000a'.repeat(50_000)]) {
      const reply = await ask(server, 'control', text);
      expect(reply.status, reply.text).toBe(200);
    }
    const after = await ask(server, 'control', 'one  two three', { function_to_apply: 'none' });
    expect(after.body.results).toEqual(before.body.results);
  });

  test('a name that nobody has: those that are near, and why a broken one is none', async () => {
    const reply = await ask(server, 'contrl', 'a');
    expectError(reply, 'MODEL_NOT_FOUND', /did you mean control/);
    const broken = await ask(server, 'encoder_only', 'a');
    expectError(broken, 'MODEL_NOT_FOUND', /encoder-only cannot be served: .*BertModel/);
  });
});

/** One of each way in which rows run; test/unit/models/fixtures.test.ts has every folder in both gears. */
const HOT = ['control', 'deberta-v2-now', 'graph-batch-1', 'q8-root', 'xlnet-pads-left'];

test('hot: the same scores', async () => {
  const settings = { ...EXACT, 'models.gear': 'hot', 'cache.max_size': '0', 'worker.count': 2 };
  const server = await startServer({ models: FOLDERS, data, settings });
  for (const id of HOT) {
    const { texts } = expectedOf(id);
    const all = texts.map((_, row) => row);
    expectRight(id, await ask(server, id, texts), all);
    const isHot = async () => {
      await ask(server, id, texts[0] ?? '');
      const { workers } = await detail(server, id);
      return (
        workers.every(({ state }) => state !== 'cold') &&
        workers.some(({ state }) => state === 'hot')
      );
    };
    // The hot gear is measured before it is used.
    await until(`${id} is hot`, isHot, 120_000);
    expectRight(id, await ask(server, id, texts), all);
    expectRight(id, await ask(server, id, texts[1] ?? ''), [1]);
    await post(server, `/v1/models/${encodeURIComponent(id)}/unload`);
  }
  await server.stop();
}, 900_000);
