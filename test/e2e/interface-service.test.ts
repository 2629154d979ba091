import { beforeAll, describe, expect, test } from 'vitest';
import type { Models, ModelView } from '../../src/contract/models.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import type { OpenApi } from './contract-document.js';
import {
  childrenOf,
  classify,
  endSession,
  get,
  openSession,
  post,
  request,
  type Server,
  startServer,
  until,
} from './harness.js';
import { expectError } from './shapes.js';
import { labelsOf, SPAM, textNumber } from './texts.js';

const WORKERS = 2;

let server: Server;

const modelsNow = async () => (await get<Models>(server, '/v1/models')).models;

beforeAll(async () => {
  server = await startServer({ settings: { 'worker.count': WORKERS } });
  await classify(server, 'the first text prepares the model');
});

describe('/v1/memory', () => {
  test('shows the machine, the line and every process', async () => {
    const memory = await get<MemoryView>(server, '/v1/memory');
    expect(memory).toStrictEqual({
      server_total_mb: expect.any(Number),
      server_used_mb: expect.any(Number),
      server_percent: expect.any(Number),
      load_line_mb: expect.any(Number),
      pressure: expect.stringMatching(/^(normal|elevated|critical)$/),
      users_since_recycle: 1,
      processes: expect.any(Array),
    });
    expect(memory.server_used_mb).toBeGreaterThan(0);
    expect(memory.server_used_mb).toBeLessThan(memory.server_total_mb);
    expect(memory.load_line_mb).toBeCloseTo(0.8 * memory.server_total_mb, 1);
    const percent = (100 * memory.server_used_mb) / memory.server_total_mb;
    expect(memory.server_percent).toBeCloseTo(percent, 1);
  });

  test('its processes are those that the kernel knows', async () => {
    const processes = await until('the preparer has gone', async () => {
      const all = (await get<MemoryView>(server, '/v1/memory')).processes;
      // One may have begun, or ended, since that was read.
      const isAlone = childrenOf(server.pid).length === WORKERS;
      return isAlone && all.every(({ role }) => role !== 'preparer') ? all : undefined;
    });
    const roles = processes.map(({ role }) => role).sort();
    expect(roles).toEqual(['main', 'worker', 'worker']);
    expect(processes.find(({ role }) => role === 'main')?.pid).toBe(server.pid);
    const workers = processes.filter(({ role }) => role === 'worker').map(({ pid }) => pid);
    expect([...workers].sort()).toEqual([...childrenOf(server.pid)].sort());
    for (const { private_mb, pss_mb, rss_mb } of processes) {
      expect(private_mb).toBeGreaterThan(5);
      expect(private_mb).toBeLessThanOrEqual(pss_mb);
      expect(pss_mb).toBeLessThanOrEqual(rss_mb);
      expect(rss_mb).toBeLessThan(1000);
    }
  });

  test('counts a user once for each session', async () => {
    const used = async () => (await get<MemoryView>(server, '/v1/memory')).users_since_recycle;
    const before = await used();
    const { id } = await openSession(server);
    for (const user of ['ann', 'bob', 'ann']) await classify(server, 'hi', { session: id, user });
    expect(await used()).toBe(before + 2);
  });
});

describe('/v1/models', () => {
  test('shows what the model is and what it was measured to take', async () => {
    const measured = await until('the model has been measured', async () => {
      const [model] = await modelsNow();
      return model?.private_mb ? model : undefined;
    });
    expect(measured).toStrictEqual({
      id: 'spam',
      task: 'text-classification',
      tasks: ['text-classification'],
      takes_pairs: true,
      labels: labelsOf(SPAM),
      state: expect.stringMatching(/^(loaded|unloaded)$/),
      dtype: 'fp32',
      workers: expect.toSatisfy((workers: ModelView['workers']) =>
        workers.every(({ worker, state }) =>
          /^worker-\d+ (unloaded|cold|hot)$/.test(`${worker} ${state}`),
        ),
      ),
      graph: 'onnx/model.onnx',
      graph_reason: expect.stringMatching(/\S/),
      form: null,
      form_reason: null,
      source_mb: expect.any(Number),
      mapped_mb: expect.any(Number),
      private_mb: expect.any(Number),
      load_ms: expect.any(Number),
      last_used_at: expect.toSatisfy((value) => value === null || typeof value === 'string'),
    });
    expect(measured.source_mb).toBeGreaterThan(0.1);
    expect(measured.mapped_mb).toBeGreaterThan(0.1);
    expect(measured.load_ms).toBeGreaterThan(0);
  });

  test('loads and unloads, and says so', async () => {
    const loaded = await post<ModelView>(server, '/v1/models/spam/load');
    expect(loaded).toMatchObject({ id: 'spam', state: 'loaded' });
    const unloaded = await post<ModelView>(server, '/v1/models/spam/unload');
    expect(unloaded).toMatchObject({ id: 'spam', state: 'unloaded' });
    expect((await modelsNow())[0]?.state).toBe('unloaded');
    // A request for it loads it again by itself.
    expect((await classify(server, textNumber(1))).cached).toEqual([false]);
    expect((await modelsNow())[0]?.state).toBe('loaded');
    const { cleanup } = await endSession(server, (await openSession(server)).id);
    expect(cleanup.kind).toBe('cleanup');
  });

  test('a model that is wanted is not unloaded', async () => {
    const texts = Array.from({ length: 64 }, (_, index) => textNumber(100 + index, 80));
    const running = classify(server, texts);
    await until('it waits', async () => {
      const { text } = await request(server, 'GET', '/metrics');
      return /^plimsoll_inputs_waiting [1-9]/m.test(text);
    });
    const { state } = await post<ModelView>(server, '/v1/models/spam/unload');
    expect(state).toBe('loaded');
    expect((await running).results).toHaveLength(64);
  });

  test('knows no other model and no other verb', async () => {
    for (const name of ['nobody', 'spam%2F..%2F..', 'org/nobody', '.', '__proto__']) {
      for (const verb of ['load', 'unload']) {
        const reply = await request(server, 'POST', `/v1/models/${name}/${verb}`);
        expectError(reply, 'MODEL_NOT_FOUND');
      }
    }
    expectError(await request(server, 'POST', '/v1/models/spam/dance'), 'NOT_FOUND');
    expectError(await request(server, 'POST', '/v1/models/load'), 'NOT_FOUND');
    expectError(await request(server, 'GET', '/v1/models/spam/load'), 'MODEL_NOT_FOUND');
  });
});

describe('health, metrics and description', () => {
  test('is live and ready', async () => {
    expect(await get(server, '/health/live')).toEqual({ status: 'live' });
    expect(await get(server, '/health/ready')).toEqual({ status: 'ready' });
  });

  test('metrics are Prometheus text, and their counters move', async () => {
    const before = await readMetrics();
    await classify(server, [textNumber(500), textNumber(501)]);
    await classify(server, textNumber(500));
    await request(server, 'GET', '/nowhere');
    const after = await readMetrics();
    const moved = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(moved('plimsoll_inputs_total{model="spam"}')).toBe(3);
    expect(moved('plimsoll_cache_hits_total{tier="memory"}')).toBe(1);
    expect(moved('plimsoll_cache_misses_total')).toBe(2);
    expect(moved('plimsoll_requests_total{route="/v1/classify",status="200"}')).toBe(2);
    expect(moved('plimsoll_requests_total{route="none",status="404"}')).toBe(1);
    expect(moved('plimsoll_batches_total{model="spam"}')).toBeGreaterThan(0);
    expect(after.get('plimsoll_memory_total_bytes')).toBeGreaterThan(0);
    expect(after.get('plimsoll_memory_load_line_bytes')).toBeGreaterThan(0);
  });

  test('describes every route in openapi.json', async () => {
    const described = await get<OpenApi>(server, '/openapi.json');
    expect(described.openapi).toMatch(/^3\.1\./);
    expect(described.info).toMatchObject({ title: 'Plimsoll', version: expect.any(String) });
    const routes = Object.entries(described.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toEqual(expect.arrayContaining(EVERY_ROUTE));
    // Ids of models in other protocols' addresses may hold slashes.
    const open = routes.filter((route) => route.includes('*'));
    expect(open.filter((route) => / \/v1\//.test(route))).toEqual([]);
    for (const operation of Object.values(described.paths).flatMap((of) => Object.values(of))) {
      expect(operation.summary).toMatch(/\S/);
      expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
      for (const response of Object.values(operation.responses)) {
        expect(response.description).toEqual(expect.any(String));
      }
    }
    const classification = described.paths['/v1/classify']?.post;
    expect(classification?.requestBody?.content['application/json']?.schema).toMatchObject({
      type: 'object',
      required: ['inputs'],
    });
  });

  test('shows /docs to people', async () => {
    const page = await request(server, 'GET', '/docs');
    const reply =
      page.status < 300 ? page : await request(server, 'GET', `${page.headers.location}`);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toContain('text/html');
    expect(reply.text).toMatch(/<html/i);
    expect(reply.headers['content-security-policy']).toMatch(/^default-src 'self';/);
    const root = await request(server, 'GET', '/');
    expect(root.status).toBeLessThan(400);
  });

  test.each([
    ['an answer', 'GET', '/health/live', 200],
    ['an error', 'POST', '/v1/classify', 400],
    ['an address that is none', 'GET', '/nowhere', 404],
  ] as const)('lets a browser do nothing with data: %s', async (_, method, address, status) => {
    const reply = await request(server, method, address, { raw: method === 'GET' ? '' : '{' });
    expect(reply.status).toBe(status);
    expect(reply.headers).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
  });
});

const EVERY_ROUTE = [
  'DELETE /v1/cache',
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /v1/events',
  'GET /v1/events/past',
  'GET /v1/cache',
  'GET /v1/config',
  'GET /v1/fleet',
  'GET /v1/memory',
  'GET /v1/models',
  'GET /v1/pools',
  'GET /v1/receipts',
  'GET /v1/records',
  'GET /v1/sessions',
  'GET /v1/sessions/{id}',
  'GET /v1/sessions/{id}/users',
  'GET /v1/workers',
  'POST /v1/classify',
  'POST /v1/memory/cleanup',
  'POST /v1/models/{id}/load',
  'POST /v1/models/{id}/unload',
  'POST /v1/sessions',
  'POST /v1/sessions/{id}/end',
  'POST /v1/workers/{id}/recycle',
];

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) (-?[0-9.eE+-]+|nan|[+-]inf)$/i;

/** Every sample of /metrics by its name and labels; a line that is not Prometheus text fails. */
async function readMetrics(): Promise<ReadonlyMap<string, number>> {
  const reply = await request(server, 'GET', '/metrics');
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const samples = new Map<string, number>();
  for (const line of reply.text.split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-zA-Z_:]/.test(line)) continue;
    const [, name, value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) throw new Error(`not a Prometheus sample: ${line}`);
    samples.set(name, Number(value));
  }
  return samples;
}
