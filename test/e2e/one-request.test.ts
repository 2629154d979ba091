import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPeakRss } from '../../src/system/process-memory.js';
import { TRIGGER, writeEndless, writeManyLabels } from './faulty-models.js';
import {
  classify,
  get,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
  workerPids,
} from './harness.js';
import { copyModel } from './model-folders.js';
import { expectError } from './shapes.js';
import { textNumber } from './texts.js';

const LABELS = 20_000;
const MB = 2 ** 20;
/** The old server took 2.5 GB for such an answer. */
const MOST_GROWTH_BYTES = 100 * MB;

const texts = (count: number) => Array.from({ length: count }, (_, n) => `text ${n} of many`);
const ask = (server: Server, fields: Readonly<Record<string, unknown>>) =>
  request<{ results: { label: string; score: number }[][] }>(server, 'POST', '/v1/classify', {
    body: fields,
  });

let server: Server;
beforeAll(async () => {
  const models = path.join(await temporaryFolder(), 'models');
  await mkdir(models, { recursive: true });
  await copyModel(models, 'spam');
  await writeManyLabels(models, 'many', LABELS);
  await writeEndless(models, 'endless');
  server = await startServer({
    models,
    settings: { 'worker.count': 2, 'models.default': 'spam', 'session.max_users': 1000 },
  });
  for (const model of ['spam', 'many', 'endless'])
    await classify(server, 'warm up', { model, top_k: 1 });
});
afterAll(() => server.stop());

describe('a model of 20,000 labels', () => {
  test('an answer that is too large is refused before it runs, with the figures and the remedy', async () => {
    const reply = await ask(server, { model: 'many', inputs: texts(1024) });
    expectError(
      reply,
      'ANSWER_TOO_LARGE',
      /1024 inputs × 20000 labels are 20480000 scores.*262144.*at most 13 inputs.*top_k to 256/,
    );
    expect(reply.status).toBe(413);
  });

  test('the best label of 1,024 texts costs the main process little', async () => {
    const before = (await readPeakRss(server.pid)) ?? 0;
    const reply = await ask(server, { model: 'many', inputs: texts(1024), top_k: 1 });
    expect(reply.status).toBe(200);
    expect(reply.body.results).toHaveLength(1024);
    expect(reply.body.results.every((list) => list.length === 1)).toBe(true);
    const after = (await readPeakRss(server.pid)) ?? Number.POSITIVE_INFINITY;
    expect(after - before).toBeLessThan(MOST_GROWTH_BYTES);
  });

  test('as large an answer as may be is whole, and others are served while it is written', async () => {
    const [input = ''] = texts(1);
    const large = ask(server, { model: 'many', inputs: texts(13) });
    const small = await classify(server, textNumber(7));
    expect(small.results).toHaveLength(1);
    const { status, body } = await large;
    expect(status).toBe(200);
    expect(body.results.map(({ length }) => length)).toEqual(
      Array.from({ length: 13 }, () => LABELS),
    );
    const [list = []] = body.results;
    expect(list.map(({ score }) => score)).toEqual(
      [...list].map(({ score }) => score).sort((a, b) => b - a),
    );
    // The best ones are the same, computed apart and from the cache.
    const best = await classify(server, `${input} anew`, { model: 'many', top_k: 7 });
    const all = await classify(server, `${input} anew`, { model: 'many' });
    expect(all.cached).toEqual([false]);
    expect(all.results[0]?.slice(0, 7)).toEqual(best.results[0]);
    const again = await classify(server, `${input} anew`, { model: 'many', top_k: 300 });
    expect(again.cached).toEqual(['memory']);
    expect(again.results[0]).toEqual(all.results[0]?.slice(0, 300));
  });
});

describe('a short request that would be large', () => {
  test('a template that names its label thousands of times, for a thousand labels, is refused', async () => {
    const candidate_labels = Array.from({ length: 1024 }, (_, n) => `${n}`.padEnd(1000, 'x'));
    const hypothesis_template = '{0}'.repeat(3333);
    const body = { inputs: 'x', candidate_labels, hypothesis_template };
    const reply = await request(server, 'POST', '/v1/zero-shot-classification', { body });
    expectError(reply, 'INVALID_REQUEST', /1024 labels have 3412992000 characters together/);
  });

  test('a thousand texts with a thousand labels are refused before a row is made of each', async () => {
    const candidate_labels = Array.from({ length: 1024 }, (_, n) => `label ${n}`);
    const body = { inputs: texts(1024), candidate_labels };
    const before = (await readPeakRss(server.pid)) ?? 0;
    const reply = await request(server, 'POST', '/v1/zero-shot-classification', { body });
    expectError(reply, 'INVALID_INPUT', /1048576 rows for the model; the most is 1024/);
    const after = (await readPeakRss(server.pid)) ?? Number.POSITIVE_INFINITY;
    expect(after - before).toBeLessThan(MOST_GROWTH_BYTES);
  });

  test('texts of more tokens than an answer may have are refused with the figures', async () => {
    const body = { inputs: '.'.repeat(1_000_000) };
    const reply = await request(server, 'POST', '/tei/spam/tokenize', { body });
    expect(reply.status).toBe(413);
    expect(reply.text).toMatch(/more than 262144 tokens.*max_answer_scores/);
  });

  test('as many tokens as may be are written whole, and are those of a small answer', async () => {
    type Tokens = {
      results: { ids: number[]; tokens: string[]; offsets: number[][]; count: number }[];
    };
    const ask = (inputs: readonly string[]) =>
      request<Tokens>(server, 'POST', '/v1/tokenize', { body: { model: 'spam', inputs } });
    const many = await ask(texts(1024));
    expect(many.status).toBe(200);
    expect(many.body.results.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(4096);
    const few = await ask(texts(1024).slice(0, 3));
    expect(many.body.results.slice(0, 3)).toEqual(few.body.results);
    for (const { ids, tokens, offsets } of few.body.results) {
      expect(offsets.map((pair) => pair.length)).toEqual(ids.map(() => 2));
      expect(tokens).toHaveLength(ids.length);
    }
  });
});

describe('a text that does not end', () => {
  test('costs its own request, not its neighbours, and is refused from then on', async () => {
    for (let n = 0; n < 5; n += 1) await classify(server, textNumber(n), { model: 'endless' });
    const before = await workerPids(server);
    const bad = ask(server, {
      model: 'endless',
      inputs: [textNumber(30), `buy ${TRIGGER} now`],
      user: 'bad',
    });
    const neighbours = Array.from({ length: 12 }, (_, n) =>
      ask(server, { model: 'endless', inputs: [textNumber(40 + n)], user: `good-${n}` }),
    );
    const others = Array.from({ length: 12 }, (_, n) =>
      ask(server, { inputs: [textNumber(60 + n)], user: `other-${n}` }),
    );
    expectError(
      await bad,
      'INPUT_REFUSED',
      /"inputs\[1\] takes far longer than texts of its length take/,
    );
    for (const reply of await Promise.all([...neighbours, ...others]))
      expect(reply.status).toBe(200);
    const again = await ask(server, { model: 'endless', inputs: `buy ${TRIGGER} now` });
    expectError(again, 'INPUT_REFUSED', /"inputs\[0\]/);
    const pids = await until('there are two workers', async () => {
      const now = await workerPids(server);
      return now.length === 2 ? now : undefined;
    });
    expect(pids.filter((pid) => !before.includes(pid)).length).toBeGreaterThan(0);
    expect(await get<string>(server, '/metrics')).toMatch(
      /^plimsoll_refusals_total\{what="text"\} 1$/m,
    );
  });

  test('of which there are several in a row sets the model aside for a while; others are served', async () => {
    const codes: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      const reply = await ask(server, { model: 'endless', inputs: `${TRIGGER} number ${n}` });
      codes.push((reply.body as { error?: { code?: string } }).error?.code);
    }
    expect(codes).toContain('INPUT_REFUSED');
    const reply = await ask(server, { model: 'endless', inputs: 'a harmless text' });
    expect(reply.status).toBe(424);
    expect(reply.text).toMatch(/"code":"MODEL_UNUSABLE".*set aside for \d+ s","retryable":true/);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect((await classify(server, textNumber(90))).results).toHaveLength(1);
  });
});

test.each([
  ['combining marks', `a${'\u0316\u0301'.repeat(500_000)}`],
  ['marks between letters', `${`a${'\u0316\u0301'.repeat(2000)} `.repeat(200)}`],
  ['blanks', ' '.repeat(1_000_000)],
  ['one letter', 'a'.repeat(1_000_000)],
  ['syllables without a blank', '각'.repeat(300_000)],
])('a megabyte of %s is answered or refused; nobody waits for it', async (_, text) => {
  const heavy = [1, 2].map((n) => ask(server, { inputs: `x ${text} ${n}`, user: `heavy-${n}` }));
  const others = Array.from({ length: 8 }, (_, n) =>
    ask(server, { inputs: textNumber(100 + n), user: `light-${n}` }),
  );
  for (const reply of await Promise.all(others)) expect(reply.status).toBe(200);
  for (const reply of await Promise.all(heavy)) expect([200, 422]).toContain(reply.status);
});
