/** The Open Inference door of one server: by a client of the test's own, by tritonclient, and by the snippets of its page. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Tokenized } from '../../src/contract/tokenize.js';
import { pythonClients } from '../servers/tools.js';
import {
  bodyOf,
  type ClientReply,
  type ClientTensor,
  readReply,
  type Way,
} from '../unit/http/doors/open-inference/client.js';
import { classify, get, post, request, type Server, startServer } from './harness.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const REFERENCE = path.join(ROOT, 'test/fixtures/reference');
const SPAM = 'Click here to claim your prize';
const TEXTS = [SPAM, 'See you at lunch', 'Grüße aus Köln 🚢'];
/** FP32 of scores that are rounded to seven decimals. */
const CLOSE = 1e-6;

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-oip-'));
  cpSync(path.join(ROOT, 'models/spam'), path.join(models, 'spam'), { recursive: true });
  cpSync(path.join(REFERENCE, 'pair-bert'), path.join(models, 'org/pairs'), { recursive: true });
  cpSync(path.join(REFERENCE, 'ner-bert'), path.join(models, 'ner'), { recursive: true });
  server = await startServer({ models });
}, 120_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly reply: ClientReply;
  readonly error: string;
}

async function send(
  address: string,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Told> {
  const answer = await fetch(`${server.url}${address}`, {
    ...{ method: 'POST', headers, body: new Uint8Array(body) },
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const length = answer.headers.get('inference-header-content-length');
  const isRead = answer.status === 200;
  const none: ClientReply = {
    json: { model_name: '', model_version: '', outputs: [] },
    elements: () => [],
  };
  return {
    status: answer.status,
    headers: answer.headers,
    reply: isRead ? readReply(bytes, length === null ? undefined : Number(length)) : none,
    error: isRead ? '' : (JSON.parse(String(bytes)) as { readonly error: string }).error,
  };
}

function infer(
  model: string,
  inputs: readonly (readonly [ClientTensor, Way])[],
  fields: Readonly<Record<string, unknown>> = {},
): Promise<Told> {
  const { body, header } = bodyOf(inputs, fields);
  const headers = header === undefined ? {} : { 'inference-header-content-length': header };
  return send(`/v2/models/${model}/infer`, body, headers);
}

const texts = (elements: readonly string[], name = 'text'): ClientTensor => ({
  ...{ name, datatype: 'BYTES', shape: [elements.length], elements },
});

/** Rows of ids as a client pads them, behind or before. */
function padded(rows: readonly (readonly number[])[], side: 'left' | 'right') {
  const width = Math.max(...rows.map(({ length }) => length));
  const fill = (row: readonly number[], value: number) => {
    const padding = new Array<number>(width - row.length).fill(value);
    return side === 'left' ? [...padding, ...row] : [...row, ...padding];
  };
  const tensor = (name: string, elements: readonly number[]): ClientTensor => ({
    ...{ name, datatype: 'INT64', shape: [rows.length, width], elements },
  });
  return [
    tensor(
      'input_ids',
      rows.flatMap((row) => fill(row, 0)),
    ),
    tensor(
      'attention_mask',
      rows.flatMap((row) =>
        fill(
          row.map(() => 1),
          0,
        ),
      ),
    ),
  ];
}

/** What Plimsoll's own door says, in the order of the labels. */
async function scoresOf(inputs: readonly string[], fields: object = {}) {
  const { labels } = await get<{ readonly labels: readonly string[] }>(server, '/v1/models/spam');
  const { results } = await classify(server, inputs, { model: 'spam', ...fields });
  const scores = results.flatMap((list) =>
    labels.map((label) => list.find((one) => one.label === label)?.score ?? Number.NaN),
  );
  return { labels, scores, best: results.map(([first]) => first?.label) };
}

function expectClose(got: readonly unknown[], expected: readonly number[], within = CLOSE): void {
  expect(got).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) {
    expect(Math.abs(Number(got[index]) - value)).toBeLessThan(within);
  }
}

describe('texts', () => {
  test.each<[Way, boolean]>([
    ['flat', false],
    ['binary', false],
    ['flat', true],
    ['binary', true],
  ])('sent %s, answered in bytes: %s', async (way, isBinary) => {
    const parameters = { binary_data_output: isBinary };
    const { reply } = await infer('spam', [[texts(TEXTS), way]], { id: 'a1', parameters });
    const { scores, best } = await scoresOf(TEXTS);
    expect(reply.json).toMatchObject({ model_name: 'spam', model_version: '1', id: 'a1' });
    expect(reply.elements('label')).toEqual(best);
    expectClose(reply.elements('score'), scores);
  });

  test('classes of scores, and the function that is asked for', async () => {
    const outputs = [{ name: 'score', parameters: { classification: 1 } }];
    const parameters = { function_to_apply: 'none' };
    const { reply } = await infer('spam', [[texts([SPAM]), 'flat']], { outputs, parameters });
    const { labels, scores } = await scoresOf([SPAM], { function_to_apply: 'none' });
    const index = scores.indexOf(Math.max(...scores));
    expect(reply.elements('score')).toEqual([`${scores[index]}:${index}:${labels[index]}`]);
  });

  test('pairs get the scores of the reference, under an id with a slash', async () => {
    const expected = JSON.parse(
      readFileSync(path.join(REFERENCE, 'pair-bert/expected.json'), 'utf8'),
    ) as {
      readonly tolerance: number;
      readonly pairs: readonly {
        readonly text: string;
        readonly text_pair: string;
        readonly scores: Readonly<Record<string, number>>;
      }[];
    };
    const { pairs, tolerance } = expected;
    const inputs = [
      [texts(pairs.map(({ text }) => text)), 'binary'],
      [
        texts(
          pairs.map(({ text_pair: second }) => second),
          'text_pair',
        ),
        'binary',
      ],
    ] as const;
    const { labels } = await get<{ labels: readonly string[] }>(server, '/v1/models/org/pairs');
    for (const id of ['org/pairs', 'org%2Fpairs', 'org/pairs/versions/1']) {
      const { reply } = await infer(id, inputs);
      const scores = pairs.flatMap((pair) => labels.map((label) => pair.scores[label] ?? 0));
      expectClose(reply.elements('score'), scores, tolerance);
    }
  });

  test('a session and a user by header', async () => {
    const opened = await post<{ readonly id: string }>(server, '/v1/sessions', {});
    const { body } = bodyOf([[texts([SPAM]), 'flat']]);
    const headers = { 'x-plimsoll-session': opened.id, 'x-plimsoll-user': 'ada' };
    const told = await send('/v2/models/spam/infer', body, headers);
    expect(told.headers.get('x-plimsoll-session')).toBe(opened.id);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ] as const)('a body in %s', async (encoding, squeeze) => {
    const { body, header = '' } = bodyOf([[texts([SPAM]), 'binary']]);
    const headers = {
      ...{ 'content-encoding': encoding, 'inference-header-content-length': header },
    };
    const { status, error } = await send('/v2/models/spam/infer', squeeze(body), headers);
    expect([status, error]).toEqual([200, '']);
  });
});

describe('token ids', () => {
  const idsOf = async (inputs: readonly string[]) => {
    const { results } = await post<Tokenized>(server, '/v1/tokenize', { model: 'spam', inputs });
    return results.map(({ ids }) => ids);
  };

  test.each(['left', 'right'] as const)(
    'give the logits of their texts, padded %s',
    async (side) => {
      const [ids, mask] = padded(await idsOf(TEXTS), side);
      if (ids === undefined || mask === undefined) throw new Error('no tensors');
      const { reply, error } = await infer('spam', [
        [ids, 'binary'],
        [mask, 'nested'],
      ]);
      expect(error).toBe('');
      const { scores } = await scoresOf(TEXTS, { function_to_apply: 'none' });
      expectClose(reply.elements('logits'), scores, 1e-4);
    },
  );

  test('a row that no model takes is refused, and its neighbours are served', async () => {
    const [good = []] = await idsOf([SPAM]);
    const bad: readonly (readonly number[])[] = [
      [2 ** 31 - 1],
      [1_000_000],
      new Array<number>(5000).fill(1),
    ];
    const asked = [...bad, good].map((row) =>
      infer('spam', [
        [{ name: 'input_ids', datatype: 'INT64', shape: [1, row.length], elements: row }, 'binary'],
      ]),
    );
    const told = await Promise.all(asked);
    expect(told.map(({ status }) => status)).toEqual([400, 400, 400, 200]);
    expect(told[0]?.error).toMatch(/token id 2147483647/);
    expect(told[2]?.error).toMatch(/5000 token ids/);
    expect(server.logs.filter(({ msg }) => /worker.*(died|ended)/.test(msg))).toEqual([]);
  });
});

test('entities of a model that classifies tokens', async () => {
  const parameters = { aggregation_strategy: 'simple' };
  const said = texts(['Angela Merkel visited Paris']);
  const { reply, status } = await infer('ner', [[said, 'flat']], { parameters });
  expect(status).toBe(200);
  const own = await post<{ readonly results: readonly (readonly object[])[] }>(
    ...([server, '/v1/token-classification'] as const),
    { model: 'ner', inputs: [...said.elements], aggregation_strategy: 'simple' },
  );
  const entities = JSON.parse(String(reply.elements('entities')[0])) as readonly object[];
  expect(entities).toHaveLength(own.results[0]?.length ?? -1);
  const ids = { name: 'input_ids', datatype: 'INT64', shape: [1, 1], elements: [1] } as const;
  expect((await infer('ner', [[ids, 'flat']])).status).toBe(501);
});

test('errors have the protocol’s form and status', async () => {
  const { body } = bodyOf([[texts([SPAM]), 'flat']]);
  const status = async (address: string, sent = body) => (await send(address, sent)).status;
  expect(await status('/v2/models/nothing/infer')).toBe(404);
  expect(await status('/v2/models/spam/versions/2/infer')).toBe(404);
  expect(await status('/v2/models/spam/elsewhere')).toBe(404);
  expect(await status('/v2/nowhere')).toBe(404);
  expect(await status('/v2/models/spam/infer', Buffer.alloc(0))).toBe(400);
  expect(await status('/v2/models/spam/infer', Buffer.from([1, 2, 3]))).toBe(400);
  const config = Buffer.from('{"parameters": {"config": "{}"}}');
  expect(await status('/v2/repository/models/spam/load', config)).toBe(501);
  const big = Buffer.alloc(5 * 2 ** 20, 32);
  expect(await status('/v2/models/spam/infer', big)).toBe(413);
});

test('what runs the server and its models', async () => {
  const { extensions } = await get<{ readonly extensions: readonly string[] }>(server, '/v2');
  expect(extensions).toContain('binary_tensor_data');
  expect(await get(server, '/v2/health/live')).toEqual({ live: true });
  expect(await get(server, '/v2/health/ready')).toEqual({ live: true, ready: true });
  const shown = await get(server, '/v2/models/spam/versions/1');
  expect(shown).toMatchObject({ name: 'spam', platform: 'onnx_onnxv1', versions: ['1'] });
  const config = await get<{ readonly name: string }>(server, '/v2/models/org/pairs/config');
  expect(config.name).toBe('org/pairs');

  const readiness = async () =>
    (await request(server, 'GET', '/v2/models/spam/versions/1/ready')).status;
  await post(server, '/v2/repository/models/spam/load');
  expect(await readiness()).toBe(200);
  await post(server, '/v2/repository/models/spam/unload', { parameters: {} });
  expect(await readiness()).toBe(503);
  type Index = readonly { readonly name: string; readonly state: string }[];
  const index = await post<Index>(server, '/v2/repository/index');
  expect(index.find(({ name }) => name === 'spam')?.state).toBe('UNAVAILABLE');
  const ready = await post<Index>(server, '/v2/repository/index', { ready: true });
  expect(ready.map(({ name }) => name)).toEqual(['ner', 'org/pairs']);
  expect((await infer('spam', [[texts(['asked again']), 'flat']])).status).toBe(200);
  expect(await readiness()).toBe(200);
});

test('statistics are those of every door', async () => {
  interface Duration {
    readonly count: number;
    readonly ns: number;
  }
  interface Stats {
    readonly inference_count: number;
    readonly execution_count: number;
    readonly inference_stats: Readonly<Record<string, Duration>>;
    readonly memory_usage: readonly { readonly byte_size: number }[];
  }
  const stats = async () => {
    const told = await get<{ readonly model_stats: readonly Stats[] }>(
      ...([server, '/v2/models/spam/stats'] as const),
    );
    const [only] = told.model_stats;
    if (only === undefined) throw new Error('there are no statistics');
    return only;
  };
  const before = await stats();
  await classify(server, ['counted once', 'counted twice'], { model: 'spam' });
  await classify(server, ['counted once', 'counted twice'], { model: 'spam' });
  const after = await stats();
  const more = (name: string) =>
    (after.inference_stats[name]?.count ?? 0) - (before.inference_stats[name]?.count ?? 0);
  expect(after.inference_count - before.inference_count).toBe(2);
  expect(after.execution_count).toBeGreaterThan(before.execution_count);
  expect([more('success'), more('compute_infer'), more('cache_hit'), more('fail')]).toEqual([
    ...[2, 1, 1, 0],
  ]);
  expect(after.inference_stats.compute_infer?.ns).toBeGreaterThan(0);
  expect(after.memory_usage[0]?.byte_size).toBeGreaterThan(2 ** 20);
  const all = await get<{ readonly model_stats: readonly unknown[] }>(server, '/v2/models/stats');
  expect(all.model_stats).toHaveLength(3);
});

describe('docs/doors-open-inference.md', () => {
  const page = readFileSync(path.join(ROOT, 'docs/doors-open-inference.md'), 'utf8');
  const snippet = (language: string) => {
    const [, code = ''] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page) ?? [];
    return code.replaceAll('localhost:8000', new URL(server.url).host);
  };

  test('the curl that it shows', async () => {
    const { stdout } = await promisify(execFile)('sh', ['-c', snippet('sh')]);
    expect(JSON.parse(stdout)).toMatchObject({ model_name: 'spam' });
  });

  test.skipIf(pythonClients === undefined)('the Python that it shows', async () => {
    const { stdout } = await promisify(execFile)(pythonClients ?? '', ['-c', snippet('python')]);
    expect(stdout).toMatch(/^\[b'spam' b'(spam|ham)'\] \[\[0\.\d+ 0\.\d+\]/);
  });
});

test.skipIf(pythonClients === undefined)('tritonclient.http', async () => {
  const script = path.join(ROOT, 'test/e2e/triton-client.py');
  const [ids = []] = (
    await post<Tokenized>(server, '/v1/tokenize', { model: 'spam', inputs: [SPAM] })
  ).results.map((one) => one.ids);
  const args = [script, new URL(server.url).host, SPAM, JSON.stringify(ids)];
  const { stdout } = await promisify(execFile)(pythonClients ?? '', args);
  const told = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  const { scores, best } = await scoresOf([SPAM]);
  const logits = (await scoresOf([SPAM], { function_to_apply: 'none' })).scores;
  expect(told).toMatchObject({
    ...{ live: true, ready: true, model_ready: true, name: 'plimsoll', label: best[0] },
    ...{ slashed: 'org/pairs', index: ['ner', 'org/pairs', 'spam'], after_unload: false },
    ...{ unknown: '404', stats: 'spam', dims: [-1], ascii: best[0], asynchronous: best[0] },
  });
  for (const way of ['binary', 'json', 'gzip', 'deflate', 'answer_gzip']) {
    expectClose(told[way] as readonly number[], scores);
  }
  expectClose(told.logits as readonly number[], logits, 1e-4);
  expect(told.classes).toMatch(/^[\d.]+:\d:spam$/);
});
