import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { shownUrl } from '../../../src/store/databases/errors.js';
import { openPostgres } from '../../../src/store/databases/postgres.js';
import { refusalOfVersion } from '../../../src/store/databases/postgres-schema.js';
import { Store } from '../../../src/store/store.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';
import { LIMITS, receipt } from './databases.js';

describe.skipIf(postgresql === undefined)('the store on a real PostgreSQL', () => {
  let server: PostgresqlServer;

  beforeAll(async () => {
    server = await PostgresqlServer.start(postgresql);
  }, 60_000);

  afterAll(async () => {
    await server?.stop();
  });

  async function open(url = server.url()): Promise<Store> {
    const store = await Store.connect(url, LIMITS);
    onTestFinished(() => store.close());
    return store;
  }

  test('several servers start at once on an empty database', async () => {
    const stores = await Promise.all([open(), open(), open(), open()]);
    for (const store of stores) {
      expect(await store.reader.listReceipts({ limit: 1 })).toEqual([]);
    }
  });

  test('a restart of the database costs its connections, not the store', async () => {
    const store = await open();
    await store.write([receipt('before')]);
    await server.kill();
    await expect(store.write([receipt('meanwhile')])).rejects.toThrow();
    await server.restart();
    await store.write([receipt('after')]);
    const [figures] = store.pools.map((pool) => pool.figures);
    expect(figures?.broken).toBeGreaterThan(0);
    expect(figures?.inUse).toBe(0);
  });

  test('one that does not answer yet is brought up to date when it does', async () => {
    const url = await server.create('later');
    await server.kill();
    const store = await open(url);
    await expect(store.write([receipt('a')])).rejects.toThrow();
    await server.restart();
    await store.write([receipt('a')]);
    expect(await store.reader.listReceipts({ limit: 9 })).toHaveLength(1);
  });

  test.each([
    ['credentials', () => server.url('wrong-secret')],
    ['a database', () => server.url('wrong-secret-2', 'nowhere')],
    ['no address at all', () => 'postgres://plimsoll:wrong-secret@[/x'],
    ['an address of something else', () => 'wrong-secret'],
  ])('%s that cannot be used: a clear error without the password', async (_what, url) => {
    const error: unknown = await Store.connect(url(), LIMITS).catch((of: unknown) => of);
    expect(String(error)).toMatch(/the database .*cannot be used: ./);
    expect(JSON.stringify([String(error), error, Object(error).cause])).not.toContain('secret');
  });

  test('a schema of a later version is refused', async () => {
    const { database } = await openPostgres({
      url: server.url(),
      limits: LIMITS,
      schema: 'plimsoll',
    });
    onTestFinished(() => database.destroy());
    const { sql } = await import('kysely');
    await sql`insert into plimsoll.kysely_migration values ('9999_later', 'now')`.execute(database);
    try {
      await expect(Store.connect(server.url(), LIMITS)).rejects.toThrow(/9999_later/);
    } finally {
      await sql`delete from plimsoll.kysely_migration where name = '9999_later'`.execute(database);
    }
  });

  test('a query that is never answered breaks its connection and is told', async () => {
    const { database, pool } = await openPostgres({
      url: server.url(),
      limits: LIMITS,
      schema: 'plimsoll',
    });
    onTestFinished(() => database.destroy());
    const { sql } = await import('kysely');
    await sql`select 1`.execute(database);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const hanging = sql`select pg_sleep(60)`.execute(database);
    const failure = expect(hanging).rejects.toThrow(/terminated/i);
    await vi.waitUntil(() => pool.figures.inUse === 1 && vi.getTimerCount() > 0);
    await vi.advanceTimersByTimeAsync(17_000);
    await failure;
    expect(pool.figures).toMatchObject({ inUse: 0, broken: 1 });
  });
});

test('a PostgreSQL that is too old is refused by its number', () => {
  expect(refusalOfVersion(90_624)).toBe(
    'it is PostgreSQL 9, and 12 is the oldest that can be used',
  );
  expect(refusalOfVersion(110_022)).toMatch(/PostgreSQL 11/);
  expect(refusalOfVersion(120_000)).toBe('');
  expect(refusalOfVersion(150_004)).toBe('');
  expect(refusalOfVersion(Number.NaN)).not.toBe('');
});

test('an address is shown without its password and options', () => {
  expect(shownUrl('postgres://me:hidden@db:5432/plimsoll?x=hidden')).toBe(
    'postgres://me:***@db:5432/plimsoll',
  );
  expect(shownUrl('hidden')).toBe('database.url');
});
