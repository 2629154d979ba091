import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import Sqlite from 'libsql';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { Receipts } from '../../src/contract/receipts.js';
import type { Ready } from '../../src/contract/service.js';
import type { Sessions, SessionView } from '../../src/contract/sessions.js';
import {
  classify,
  endSession,
  get,
  openSession,
  request,
  type Server,
  startServer,
} from './harness.js';
import { Load, undisturbed } from './load.js';
import { metric, recordsOf } from './records.js';
import { receiptShape } from './shapes.js';

const run = promisify(execFile);
const AMPLE = { timeout: 30_000, interval: 50 };

let data: string;

const start = (settings: Readonly<Record<string, string | number>> = {}, folder = data) =>
  startServer({
    data: folder,
    settings: { 'worker.count': 1, 'database.retry_ms': 100, ...settings },
  });

beforeAll(async () => {
  const first = await startServer({ settings: { 'worker.count': 1 } });
  data = first.data;
  await classify(first, 'the first text prepares the model');
  await first.stop();
});

describe('the record of a classification', () => {
  test('says what was answered to whom, without the text and the name', async () => {
    const server = await start();
    const { id } = await openSession(server);
    const fields = { session: id, user: 'ann@example.org' };
    const answer = await classify(server, ['Free money now!!!', 'See you at lunch.'], fields);
    await classify(server, 'Free money now!!!', { session: id, user: 'bob' });
    const { records } = await recordsOf(server, `session=${id}`);
    expect(records).toHaveLength(3);
    const [repeated, second, first] = records;
    for (const [index, record] of [first, second].entries()) {
      const [best] = answer.results[index] ?? [];
      expect(record).toMatchObject({ session: id, model: 'spam', cached: false });
      expect(record).toMatchObject({ label: best?.label, ms: expect.any(Number) });
      expect(record?.score).toBeCloseTo(best?.score ?? -1, 6);
    }
    expect(repeated).toMatchObject({ cached: 'memory', input_hash: first?.input_hash });
    expect(second?.input_hash).not.toBe(first?.input_hash);
    expect(JSON.stringify(records)).not.toMatch(/Free money|lunch|ann|bob/);
    expect((await recordsOf(server, 'user=bob')).records).toEqual([repeated]);
    expect((await recordsOf(server, 'user=nobody')).records).toEqual([]);
    const { users } = await get<{ users: { user_hash: string }[] }>(
      server,
      `/v1/sessions/${id}/users`,
    );
    expect(users.map(({ user_hash: hash }) => hash)).toEqual([
      first?.user_hash,
      repeated?.user_hash,
    ]);
    await endSession(server, id);
    const { events } = await get<{ events: { kind: string; model: string | null }[] }>(
      server,
      '/v1/events/past?kind=model_loaded',
    );
    expect(events[0]).toMatchObject({ kind: 'model_loaded', model: 'spam' });
    await server.stop();
  });
});

test('of more records than are to be kept the oldest go', async () => {
  const server = await start({ 'records.keep': 20, 'records.keep_text': 'true' });
  const texts = Array.from({ length: 600 }, (_, index) => `number ${index}`);
  await classify(server, texts, { user: 'many' });
  await vi.waitFor(async () => {
    // Those that came while the others went are looked at the next time.
    const { records } = await recordsOf(server, 'user=many');
    expect(records.length).toBeLessThan(120);
    const newest = records.slice(0, 20).map(({ input }) => input);
    expect(newest).toEqual(texts.slice(-20).reverse());
  }, AMPLE);
  await server.stop();
});

describe('a server that is killed', () => {
  test('loses nothing that it had written, and closes its sessions at the next start', async () => {
    const server = await start({ 'records.keep_text': 'true', 'records.flush_ms': 20 });
    const { id } = await openSession(server);
    const expected = await undisturbed(server, 20);
    const load = new Load(server, expected, { users: 3, fields: { session: id } });
    await vi.waitUntil(() => load.answered >= 200, AMPLE);
    const answered = load.answered;
    // Who reads waits until what came before is written.
    await recordsOf(server, `session=${id}`);
    await server.kill();
    await load.finish();
    const next = await start();
    await vi.waitFor(async () => {
      const session = await get<SessionView>(next, `/v1/sessions/${id}`);
      expect(session).toMatchObject({ state: 'interrupted', end_cause: 'interrupted', users: 3 });
      expect(session.cleanup).toStrictEqual({ ...receiptShape, session: id });
      const { receipts } = await get<Receipts>(next, `/v1/receipts?session=${id}`);
      expect(receipts).toStrictEqual([session.cleanup]);
    }, AMPLE);
    const { records } = await recordsOf(next, `session=${id}`);
    expect(records.length).toBeGreaterThanOrEqual(Math.min(999, answered));
    expect(new Set(records.map((record) => record.id)).size).toBe(records.length);
    const { sessions } = await get<Sessions>(next, '/v1/sessions');
    expect(sessions.filter(({ state }) => state === 'open')).toEqual([]);
    await next.stop();
  });
});

/** Whether the size of files can be limited from outside, as a full disk would. */
const canLimit = (() => {
  try {
    execFileSync('prlimit', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

/** From now on no file of the server can be written beyond this size: EFBIG in place of ENOSPC. */
async function limitFiles({ pid }: Server, bytes: number | 'unlimited'): Promise<void> {
  await run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
}

describe.skipIf(!canLimit)('a disk that is full', () => {
  test('costs no request and, once there is room again, no record', async () => {
    const server = await start({ 'records.keep_text': 'true', 'cache.max_size': 0 });
    await classify(server, 'before', { user: 'full' });
    await limitFiles(server, 1);
    const texts = Array.from({ length: 40 }, (_, index) => `while it is full, ${index}`);
    for (const text of texts) await classify(server, text, { user: 'full' });
    await vi.waitFor(async () => {
      const { status, reasons } = await get<Ready>(server, '/health/ready');
      expect(status).toBe('degraded');
      expect(reasons?.join('\n')).toMatch(
        /the database takes no records: .*\n.*the file for records cannot be written: .*EFBIG/,
      );
    }, AMPLE);
    expect(await metric(server, 'plimsoll_records_buffered')).toBeGreaterThanOrEqual(40);
    await limitFiles(server, 'unlimited');
    await vi.waitFor(
      async () => expect((await get<Ready>(server, '/health/ready')).status).toBe('ready'),
      AMPLE,
    );
    await vi.waitFor(async () => {
      const { records } = await recordsOf(server, 'user=full');
      expect(records.map(({ input }) => input).reverse()).toEqual(['before', ...texts]);
    }, AMPLE);
    expect(await metric(server, 'plimsoll_records_lost_total')).toBe(0);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  test('for long: what the memory has no room for is counted and told, and nothing dies', async () => {
    const server = await start({
      ...{ 'records.keep_text': 'true', 'records.max_buffer': '64K', 'cache.max_size': 0 },
    });
    await limitFiles(server, 1);
    const long = 'a long text '.repeat(400);
    for (let n = 0; n < 20; n += 1) await classify(server, `${n} ${long}`);
    await vi.waitFor(
      async () => expect(await metric(server, 'plimsoll_records_lost_total')).toBeGreaterThan(5),
      AMPLE,
    );
    await vi.waitFor(() => {
      expect(server.logs.some(({ msg, level }) => msg === 'records are lost' && level === 50)).toBe(
        true,
      );
    }, AMPLE);
    expect((await classify(server, 'it still answers')).results).toHaveLength(1);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const told = server.logs.filter(({ msg }) => msg === 'records are lost');
    expect(told.length).toBeLessThan(10);
  });

  test('at the first start: one line that says so', async () => {
    const failed = await run('prlimit', [
      '--fsize=1',
      ...[process.execPath, 'dist/main.js', 'serve', '--port', '0', '--data', `${data}-full`],
    ]).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 1 });
    const { stderr } = failed as { readonly stderr: string };
    expect(stderr).toMatch(/^plimsoll: the database .*plimsoll\.db cannot be used: ./m);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('texts that memory has no room for', () => {
  test.each([
    ['1,024 of 4 KB', 1024, 4096],
    ['16 of 1.5 MB', 16, 1_500_000],
  ])('in one request, %s, are all in the database', async (_what, inputs, characters) => {
    const server = await start(
      {
        ...{ 'records.keep_text': 'true', 'http.body_limit': 64 * 2 ** 20 },
        'request.deadline_ms': 120_000,
      },
      `${data}-texts`,
    );
    const texts = Array.from({ length: inputs }, (_, n) => `${n} ${'x '.repeat(characters / 2)}`);
    await classify(server, texts, { user: `${inputs}` });
    await vi.waitFor(async () => {
      expect(await metric(server, 'plimsoll_records_spilled_bytes')).toBe(0);
      expect(await metric(server, 'plimsoll_records_buffered')).toBe(0);
    }, AMPLE);
    expect(await metric(server, 'plimsoll_records_lost_total')).toBe(0);
    await server.stop();
    const kept = new Sqlite(path.join(`${data}-texts`, 'plimsoll.db'))
      .prepare('select count(*) as count from records where length(input) >= ?')
      .get(characters);
    expect(kept).toMatchObject({ count: inputs });
  });
});

describe('a database that is deleted while the server runs', () => {
  test.each([
    ['its file', (folder: string) => rmSync(path.join(folder, 'plimsoll.db'))],
    [
      'everything that holds records',
      (folder: string) => {
        for (const name of readdirSync(folder)) {
          if (name !== 'mapped') rmSync(path.join(folder, name), { recursive: true });
        }
      },
    ],
  ])('is made anew, and said: %s', async (_what, spoil) => {
    const folder = `${data}-gone`;
    const settings = { 'records.keep_text': 'true', 'cache.secret': 'of this test' };
    const server = await start(settings, folder);
    await classify(server, 'before', { user: 'ann' });
    await recordsOf(server, 'user=ann');
    spoil(folder);
    await classify(server, 'after', { user: 'ann' });
    await vi.waitFor(async () => {
      const { records } = await recordsOf(server, 'user=ann');
      expect(records.map(({ input }) => input)).toEqual(['after']);
    }, AMPLE);
    const { events } = await get<{ events: unknown[] }>(
      server,
      '/v1/events/past?kind=database_restored',
    );
    expect(events).toHaveLength(1);
    expect((await get<Ready>(server, '/health/ready')).status).toBe('ready');
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const next = await start(settings, folder);
    const { records } = await recordsOf(next, 'user=ann');
    expect(records.map(({ input }) => input)).toEqual(['after']);
    await next.stop();
  });
});

test('a list may be asked for with any text', async () => {
  const server = await start();
  for (const text of ['%00', 'a%00b', '%27%20or%201%3D1', '%EF%BF%BD', '%5C', '%25']) {
    const query = `session=${text}&model=${text}&label=${text}&user=${text}`;
    expect((await recordsOf(server, query)).records).toEqual([]);
    expect(await get(server, `/v1/events/past?kind=${text}&session=${text}`)).toEqual({
      events: [],
    });
    const { status } = await request(server, 'GET', `/v1/sessions/${text}`);
    expect([400, 404]).toContain(status);
  }
  await server.stop();
});
