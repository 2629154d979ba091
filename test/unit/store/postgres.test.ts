import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { PoolLimits } from '../../../src/pools/connection-pool.js';
import { shownUrl } from '../../../src/store/postgres.js';
import { Store, type StoredReceipt } from '../../../src/store/store.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';

const LIMITS: PoolLimits = {
  min: 1,
  max: 4,
  waitMs: 10_000,
  idleMs: 30_000,
  lifetimeMs: 600_000,
  checkAfterIdleMs: 5000,
};

function receipt(id: string, startedAtMs = 1_700_000_000_000): StoredReceipt {
  return { id, kind: 'cleanup', session: null, startedAtMs, body: { id, note: 'ü 😀 "q"' } };
}

describe.skipIf(postgresql === undefined)('the store on a real PostgreSQL', () => {
  let server: PostgresqlServer;

  beforeAll(async () => {
    server = await PostgresqlServer.start(postgresql);
  }, 60_000);

  afterAll(async () => {
    await server?.stop();
  });

  async function open(): Promise<Store> {
    const store = await Store.connect(server.url(), LIMITS);
    onTestFinished(() => store.close());
    return store;
  }

  test('several servers start at once on an empty database', async () => {
    const stores = await Promise.all([open(), open(), open(), open()]);
    for (const store of stores) expect(await store.listReceipts({ limit: 1 })).toEqual([]);
  });

  test('what is kept is found, changed and not doubled, also after a new start', async () => {
    const first = await Store.connect(server.url(), LIMITS);
    const session = { id: 's', state: 'open', maxUsers: 8, users: 1, requests: 2 ** 40 };
    const times = { openedAtMs: 1_700_000_000_000, endedAtMs: null };
    await first.saveSession({ ...session, ...times, body: { id: 's', at: 1 } });
    await first.saveSession({ ...session, ...times, body: { id: 's', at: 2 } });
    await first.saveReceipt(receipt('a'));
    await first.saveReceipt(receipt('a'));
    await first.close();
    const second = await open();
    expect(await second.findSession('s')).toEqual({ id: 's', at: 2 });
    expect(await second.listSessions(10)).toHaveLength(1);
    expect(await second.listReceipts({ limit: 10 })).toEqual([{ id: 'a', note: 'ü 😀 "q"' }]);
  });

  test('readings come back as numbers', async () => {
    const store = await open();
    const names = ['server_total', 'load_line', 'server_used_mean', 'server_used_max'];
    names.push('private_mean', 'private_max', 'pss_mean', 'pss_max');
    const bytes = Object.fromEntries(names.map((name) => [`${name}_bytes`, 2 ** 40]));
    const row = { at_ms: 1_700_000_000_000, count: 60, pressure_max: 1, ...bytes };
    await store.saveReading(row as Parameters<Store['saveReading']>[0]);
    expect(await store.listReadings(0, 10)).toEqual([row]);
  });

  test('the oldest rows are dropped', async () => {
    const store = await open();
    for (let at = 0; at < 10; at += 1) await store.saveReceipt(receipt(`p${at}`, 1000 + at));
    await store.prune(3);
    expect(await store.listReceipts({ limit: 100 })).toHaveLength(3);
  });

  test('a restart of the database costs its connections, not the store', async () => {
    const store = await open();
    await store.saveReceipt(receipt('before'));
    await server.kill();
    await expect(store.saveReceipt(receipt('meanwhile'))).rejects.toThrow();
    await server.restart();
    await store.saveReceipt(receipt('after'));
    const [figures] = store.pools.map((pool) => pool.figures);
    expect(figures?.broken).toBeGreaterThan(0);
    expect(figures?.inUse).toBe(0);
  });

  test.each([
    ['credentials', () => server.url('wrong-secret')],
    ['a database', () => server.url('wrong-secret-2', 'nowhere')],
    ['an address', () => 'postgres://plimsoll:wrong-secret@127.0.0.1:1/x'],
    ['no address at all', () => 'postgres://plimsoll:wrong-secret@[/x'],
  ])('%s that cannot be used: a clear error without the password', async (_what, url) => {
    const error: unknown = await Store.connect(url(), LIMITS).catch((of: unknown) => of);
    expect(String(error)).toMatch(/the database .* cannot be used: ./);
    expect(JSON.stringify([String(error), error, Object(error).cause])).not.toContain('secret');
  });

  test('a schema of a later version is refused', async () => {
    const { openPostgres } = await import('../../../src/store/postgres.js');
    const { database } = await openPostgres(server.url(), LIMITS);
    onTestFinished(() => database.destroy());
    const { sql } = await import('kysely');
    await sql`insert into kysely_migration values ('9999_later', 'now')`.execute(database);
    try {
      await expect(Store.connect(server.url(), LIMITS)).rejects.toThrow(/9999_later/);
    } finally {
      await sql`delete from kysely_migration where name = '9999_later'`.execute(database);
    }
  });
});

test('an address is shown without its password and options', () => {
  expect(shownUrl('postgres://me:hidden@db:5432/plimsoll?x=hidden')).toBe(
    'postgres://me:***@db:5432/plimsoll',
  );
  expect(shownUrl('hidden')).toBe('database.url');
});
