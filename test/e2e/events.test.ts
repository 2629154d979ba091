import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Mark, PageState } from '../../src/contract/events.js';
import type { Models } from '../../src/contract/models.js';
import type { Receipt } from '../../src/contract/receipts.js';
import type { Workers } from '../../src/contract/state/workers.js';
import { EventReader } from './event-reader.js';
import {
  classify,
  endSession,
  get,
  openSession,
  post,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import { answeredShape, expectError, instant, receiptShape } from './shapes.js';
import { textNumber } from './texts.js';

const MAX_VIEWERS = 3;
let server: Server;
const readers: EventReader[] = [];

async function openPage(of: Server = server): Promise<EventReader> {
  const reader = await EventReader.open(of);
  readers.push(reader);
  return reader;
}

const number = expect.any(Number);

beforeAll(async () => {
  const settings = { 'page.max_viewers': MAX_VIEWERS, 'worker.count': 2, 'cache.max_size': '0' };
  server = await startServer({ settings });
});

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  // The server has noticed: the next test finds all places free.
  await until('a page can be opened', async () => {
    const pages: EventReader[] = [];
    for (let page = 0; page < MAX_VIEWERS; page += 1) pages.push(await EventReader.open(server));
    for (const page of pages) page.close();
    return pages.every(({ status }) => status === 200);
  });
});

describe('/v1/events', () => {
  test('begins with the state, as the other addresses show it', async () => {
    const { id } = await openSession(server);
    await classify(server, textNumber(1), { session: id, user: 'ann' });
    const page = await openPage();
    expect(page.status).toBe(200);
    expect(page.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    const state = await page.waitFor<PageState>('state');
    expect(page.rest[0]).toBe('retry: 2000');
    expect(state).toStrictEqual({
      at: instant,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      server_total_mb: number,
      server_used_mb: number,
      load_line_mb: number,
      pressure: expect.stringMatching(/^(normal|elevated|critical)$/),
      users_since_recycle: 1,
      recycle_after_users: 50,
      waiting_inputs: 0,
      processes: expect.any(Array),
      sessions: [
        {
          id,
          state: 'open',
          users: 1,
          max_users: 8,
          requests: 1,
          failures: 0,
          ...answeredShape,
          opened_at: instant,
        },
      ],
      models: expect.any(Array),
      workers: expect.any(Array),
      cache: {
        memory: { entries: 0, bytes: 0, hits: 0, misses: number, ttl_left_s: null },
        redis: null,
      },
      pools: [],
      pull_allowed: false,
      pulls: [],
      fleet: null,
      jobs: [],
      jobs_more: { open: 0, ended: 0 },
    });
    const names = state.processes.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['main', 'worker-1', 'worker-2']));
    for (const process of state.processes) {
      expect(process).toMatchObject({ pid: number, private_mb: number, shared_mb: number });
    }
    const { models } = await get<Models>(server, '/v1/models');
    const ofState = [...Object.keys(models[0] ?? {}), 'label_count'];
    expect(Object.keys(state.models[0] ?? {}).sort()).toEqual(ofState.sort());
    const { workers } = await get<Workers>(server, '/v1/workers');
    expect(state.workers.map(({ id: worker }) => worker)).toEqual(workers.map((of) => of.id));
    expect(Object.keys(state.workers[0] ?? {})).toEqual(Object.keys(workers[0] ?? {}));
    await endSession(server, id);
  });

  test('goes on with a state every second, and shows what changes', async () => {
    const page = await openPage();
    await page.waitFor('state');
    const { id } = await openSession(server);
    const later = await page.waitFor<PageState>('state', ({ sessions }) =>
      sessions.some((session) => session.id === id),
    );
    await endSession(server, id);
    const last = await page.waitFor<PageState>(
      'state',
      ({ at, sessions }) => at > later.at && sessions.every((session) => session.id !== id),
    );
    expect(Date.parse(last.at)).toBeGreaterThan(Date.parse(later.at));
  });

  test('tells at once of sessions, models and workers, with their receipts', async () => {
    const page = await openPage();
    const { id } = await openSession(server);
    await post(server, '/v1/models/spam/unload');
    await classify(server, textNumber(2), { session: id, user: 'ann' });
    expect(await page.waitFor<Mark>('mark', ({ kind }) => kind === 'model_loaded')).toMatchObject({
      model: 'spam',
      text: expect.stringMatching(/^spam opened in worker-\d+ in \d+ ms$/),
    });
    const { cleanup } = await endSession(server, id);
    const ended = await page.waitFor<Mark>('mark', ({ session }) => session === id);
    const over = await page.waitFor<Mark>('mark', ({ kind }) => kind === 'session_ended');
    expect(over).toStrictEqual({
      id: number,
      at: instant,
      kind: 'session_ended',
      text: expect.stringMatching(/^session ended \(ended by the caller\) with 1 user, 1 request;/),
      session: id,
      ended: { ...over.ended, id, requests: 1, end_cause: 'ended by the caller' },
      receipt: cleanup,
    });
    expect(ended.receipt).toStrictEqual(cleanup);
    const recycled = await post<Receipt>(server, '/v1/memory/recycle');
    const workers = recycled.actions.flatMap(({ worker, action }) =>
      action === 'replace_worker' ? [worker] : [],
    );
    for (const worker of workers) {
      const mark = await page.waitFor<Mark>('mark', (of) => of.worker === worker && !of.model);
      expect(mark).toMatchObject({ kind: 'worker_recycled', receipt: receiptShape });
    }
    const ids = page.events.flatMap(({ event, data }) => (event === 'mark' ? [data.id] : []));
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => Number(a) - Number(b)));
  });

  test('takes so many pages; one more is told to come later, and may when one has gone', async () => {
    const pages = await Promise.all(Array.from({ length: MAX_VIEWERS }, () => openPage()));
    await Promise.all(pages.map((page) => page.waitFor('state')));
    const refused = await request(server, 'GET', '/v1/events');
    expectError(refused, 'TOO_MANY_VIEWERS', /3 pages are open/);
    expect(refused.headers['retry-after']).toBe('5');
    pages[0]?.close();
    await until('there is room again', async () => (await openPage()).status === 200);
  });

  test('ends when the server stops, without holding it up, and goes on when it is back', async () => {
    const { port } = new URL(server.url);
    const page = await openPage();
    const first = await page.waitFor<PageState>('state');
    const silent = net.connect({ host: '127.0.0.1', port: Number(port) });
    silent.on('error', () => undefined);
    silent.write('GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    expect(await server.stop()).toMatchObject({ code: 0 });
    await page.ended();
    silent.destroy();
    const settings = { 'page.max_viewers': MAX_VIEWERS, 'http.port': port };
    server = await startServer({ data: server.data, settings });
    const again = await (await openPage()).waitFor<PageState>('state');
    expect(Date.parse(again.at)).toBeGreaterThan(Date.parse(first.at));
  });
});

describe('web pages of others', () => {
  const foreign = { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };

  test.each([
    ['POST', '/v1/sessions'],
    ['POST', '/v1/memory/recycle'],
    ['POST', '/v1/models/spam/unload'],
    ['POST', '/v1/workers/worker-1/recycle'],
    ['POST', '/v1/classify'],
    ['GET', '/v1/events'],
  ])('may not ask for %s %s', async (method, address) => {
    expectError(await request(server, method, address, { headers: foreign }), 'CROSS_SITE');
    const headers = { origin: 'http://localhost:1' };
    expectError(await request(server, method, address, { headers }), 'CROSS_SITE');
  });

  test('our own page and callers without a page may', async () => {
    const { host } = new URL(server.url);
    for (const headers of [
      {},
      { origin: `http://${host}` },
      { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' },
    ]) {
      const reply = await request(server, 'POST', '/v1/sessions', { headers });
      expect(reply.status, reply.text).toBe(201);
    }
  });

  test('a name that was made to lead here is refused, for reading too', async () => {
    const reply = await request(server, 'GET', '/v1/memory', { headers: { host: 'evil.example' } });
    expectError(reply, 'UNKNOWN_HOST', /evil\.example/);
    const named = await startServer({ settings: { 'http.names': 'plimsoll.example' } });
    const headers = { host: 'plimsoll.example' };
    expect((await request(named, 'GET', '/v1/memory', { headers })).status).toBe(200);
    await named.stop();
  });
});

describe('a page that does not read', () => {
  test('loses its place to another one, while the others are served', async () => {
    const models = await temporaryFolder();
    // What the page shows is made large: many models whose files are broken.
    for (let model = 0; model < 1500; model += 1) {
      const folder = path.join(models, `${String(model).padStart(4, '0')}-${'x'.repeat(120)}`);
      await mkdir(path.join(folder, 'onnx'), { recursive: true });
      await writeFile(path.join(folder, 'config.json'), '{');
      await writeFile(path.join(folder, 'onnx', 'model.onnx'), '');
    }
    const own = await startServer({ models, settings: { 'page.max_viewers': 2 } });
    const silent = net.connect({ host: '127.0.0.1', port: Number(new URL(own.url).port) });
    silent.on('error', () => undefined);
    silent.pause();
    silent.write('GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const reader = await openPage(own);
    await reader.waitFor('state');
    expectError(await request(own, 'GET', '/v1/events'), 'TOO_MANY_VIEWERS');
    const third = await until(
      'the silent one has lost its place',
      async () => {
        const page = await openPage(own);
        return page.status === 200 ? page : undefined;
      },
      60_000,
    );
    await third.waitFor('state');
    const seen = reader.events.length;
    await until('the first one is still served', () => reader.events.length > seen);
    silent.destroy();
    expect(await own.stop()).toMatchObject({ code: 0 });
  });
});
