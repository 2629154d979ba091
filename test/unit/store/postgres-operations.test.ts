import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Store } from '../../../src/store/store.js';
import { PgbouncerServer } from '../../servers/pgbouncer.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { pgbouncer, postgresql } from '../../servers/tools.js';
import { idsOf, LIMITS, receipt, record, session } from './databases.js';

/** What a database meets when people operate it: locks, failovers, restores, other programs, pgbouncer. */
describe.skipIf(postgresql === undefined)('a real PostgreSQL as people run it', () => {
  let server: PostgresqlServer;
  let count = 0;

  beforeAll(async () => {
    server = await PostgresqlServer.start(postgresql);
  }, 60_000);

  afterAll(async () => {
    await server?.stop();
  });

  async function fresh(): Promise<{ readonly name: string; readonly url: string }> {
    count += 1;
    const name = `test_${count}`;
    return { name, url: await server.create(name) };
  }

  async function open(url: string, changes: Partial<typeof LIMITS> = {}): Promise<Store> {
    const store = await Store.connect(url, { ...LIMITS, ...changes });
    onTestFinished(() => store.close());
    return store;
  }

  async function connect(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  }

  const listed = (store: Store) => store.reader.listRecords({ limit: 10 });

  test('a locked table is waited for within a limit, at the server, and writes get a connection', async () => {
    const { name, url } = await fresh();
    const store = await open(url, { max: 10, waitMs: 5000 });
    await store.write([record('before')]);
    const locker = await connect(url);
    await locker.query('begin; lock table plimsoll.records in access exclusive mode');
    const lists = Array.from({ length: 10 }, () => listed(store));
    const outcomes = Promise.allSettled(lists);
    // Of another table: only a connection is needed.
    await store.write([receipt('meanwhile')]);
    for (const { status } of await outcomes) expect(status).toBe('rejected');
    const waiting = `select count(*)::int as count from pg_stat_activity
      where datname = '${name}' and state = 'active' and pid <> pg_backend_pid()`;
    expect((await locker.query(waiting)).rows).toEqual([{ count: 0 }]);
    await locker.query('rollback');
    expect(idsOf(await listed(store))).toEqual(['before']);
    expect(store.pools[0]?.figures).toMatchObject({ inUse: 0, broken: 0 });
  }, 60_000);

  test('every transaction has timeouts of its own, and a session none', async () => {
    const { url } = await fresh();
    await open(url);
    const client = await connect(url);
    const { rows } = await client.query('show statement_timeout');
    expect(rows).toEqual([{ statement_timeout: '0' }]);
    const { database, pool } = await (
      await import('../../../src/store/databases/postgres.js')
    ).openPostgres({ url, limits: LIMITS, schema: 'plimsoll' });
    onTestFinished(() => pool.close());
    const { sql } = await import('kysely');
    const settings = await database.transaction().execute(async (transaction) => {
      const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
      const found = [];
      for (const setting of names) {
        const shown = await sql<Record<string, string>>`show ${sql.raw(setting)}`.execute(
          transaction,
        );
        found.push(shown.rows[0]?.[setting]);
      }
      return found;
    });
    expect(settings).toEqual(['15s', '5s', '30s']);
  });

  test('connections to a server that became read-only are replaced, all of them', async () => {
    const { name, url } = await fresh();
    const store = await open(url, { min: 4 });
    await Promise.all([1, 2, 3, 4].map((n) => store.write([record(`a${n}`)])));
    await vi.waitFor(() => expect(store.pools[0]?.figures.idle).toBe(4));
    await server.run(name, `alter database ${name} set default_transaction_read_only = on`);
    const client = await connect(url);
    await client.query('set default_transaction_read_only = off');
    // What an open connection meets after a failover behind a proxy: its server takes no more writes.
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = '${name}' and pid <> pg_backend_pid()`,
    );
    await vi.waitFor(
      async () => {
        const failure = await store.write([record('b')]).catch((error: unknown) => error);
        expect(String(failure)).toMatch(/read-only/);
      },
      { timeout: 5000 },
    );
    await client.query(`alter database ${name} set default_transaction_read_only = off`);
    // Soon, not after the lifetime of a connection: one that was opened meanwhile is replaced too when a write fails on it.
    await vi.waitFor(() => store.write([record('b')]), { timeout: 5000 });
    expect(await listed(store)).toHaveLength(5);
  });

  test.each([
    ['its schema is dropped', ['drop schema plimsoll cascade']],
    ['everything is dropped', ['drop schema plimsoll cascade', 'drop schema public cascade']],
  ])('when %s, the tables are made anew and the store says so', async (_what, statements) => {
    const { name, url } = await fresh();
    const store = await open(url);
    const restored = vi.fn();
    store.whenRestored(restored);
    await store.write([record('lost')]);
    await server.run(name, ...statements);
    await Promise.all([store.write([record('a')]), listed(store), store.write([session('s')])]);
    expect(idsOf(await listed(store))).toEqual(['a']);
    expect(restored).toHaveBeenCalledTimes(1);
  });

  test('a database that is dropped and created again is migrated again', async () => {
    const { name, url } = await fresh();
    const store = await open(url);
    await store.write([record('lost')]);
    await server.run('postgres', `drop database ${name} with (force)`);
    await expect(store.write([record('a')])).rejects.toThrow();
    await server.create(name);
    await store.write([record('a')]);
    expect(idsOf(await listed(store))).toEqual(['a']);
  });

  test('a table that somebody dropped is named', async () => {
    const { name, url } = await fresh();
    const store = await open(url);
    await server.run(name, 'drop table plimsoll.events');
    const event = store.reader.listEvents({ limit: 1 });
    await expect(event).rejects.toThrow(/lacks events.*restore the table, or drop the schema/);
  });

  test.each([
    ['a table', ['create table public.sessions (id int primary key)']],
    [
      'Kysely migrations',
      [
        'create table public.kysely_migration (name varchar(255) primary key, timestamp varchar(255))',
        "insert into public.kysely_migration values ('001_their_own', 'now')",
      ],
    ],
    ['a migration table of another shape', ['create table public.kysely_migration (id int)']],
  ])('%s of another program in public is no conflict, and left as it is', async (_what, made) => {
    const { name, url } = await fresh();
    await server.run(name, ...made);
    const before = await tablesOf(name, 'public');
    const store = await open(url);
    await store.write([record('a')]);
    expect(idsOf(await listed(store))).toEqual(['a']);
    expect(await tablesOf(name, 'public')).toEqual(before);
    // Where our schema is to be theirs, it is a clear error.
    const refused = Store.connect(url, LIMITS, 'public');
    await expect(refused).rejects.toThrow(
      /schema "public" holds .*of another program.*database\.schema/,
    );
  });

  async function tablesOf(database: string, schema: string): Promise<readonly unknown[]> {
    return server.run(
      database,
      `select tablename from pg_tables where schemaname = '${schema}' order by tablename`,
    );
  }

  test('tables of an earlier version in public are moved, with all they hold', async () => {
    const { name, url } = await fresh();
    const earlier = await Store.connect(url, LIMITS, 'public');
    await earlier.write([record('old'), session('s'), receipt('r')]);
    await earlier.close();
    await server.run(
      name,
      'drop table public.api_keys, public.key_revision, public.fleet_servers, public.jobs, public.job_journal',
      "delete from public.kysely_migration where name > '0004'",
    );
    const stores = await Promise.all([open(url), open(url), open(url)]);
    for (const store of stores) {
      expect(idsOf(await listed(store))).toEqual(['old']);
      expect(idsOf(await store.reader.listReceipts({ limit: 9 }))).toEqual(['r']);
    }
    expect(await tablesOf(name, 'public')).toEqual([]);
  });

  test('tables that a server of this version keeps in public stay there', async () => {
    const { url } = await fresh();
    const kept = await Store.connect(url, LIMITS, 'public');
    onTestFinished(() => kept.close());
    await kept.write([record('theirs')]);
    const other = await open(url);
    expect(await listed(other)).toEqual([]);
    expect(idsOf(await listed(kept))).toEqual(['theirs']);
  });

  test('a user who may not create a schema is told what to do, and may use an existing one', async () => {
    const { name } = await fresh();
    await server.run(
      name,
      `do $$ begin create role guest login password 'guest'; exception when duplicate_object then null; end $$`,
      'grant connect on database test_1 to guest',
    );
    const url = new URL(server.url('guest', name));
    url.username = 'guest';
    const refused = Store.connect(String(url), LIMITS);
    await expect(refused).rejects.toThrow(/schema "plimsoll" cannot be created.*database\.schema/);
    await server.run(name, 'create schema for_guest authorization guest');
    const store = await Store.connect(String(url), LIMITS, 'for_guest');
    onTestFinished(() => store.close());
    await store.write([record('a')]);
    expect(idsOf(await listed(store))).toEqual(['a']);
  });

  test('any text may be asked for', async () => {
    const { url } = await fresh();
    const store = await open(url);
    await store.write([record('a', { label: 'x\0y', session: "'; --" })]);
    const { reader } = store;
    for (const text of ['\0', 'a\0b', "' or 1=1 --", '\uD800', '%', '\\', 'ü'.repeat(600)]) {
      expect(await reader.listRecords({ session: text, label: text, limit: 9 })).toEqual([]);
      expect(await reader.findSession(text)).toBeUndefined();
      expect(await reader.listUsers(text)).toEqual([]);
      expect(await reader.listEvents({ kind: text, session: text, limit: 9 })).toEqual([]);
      expect(await reader.listReceipts({ kind: text, session: text, limit: 9 })).toEqual([]);
    }
    expect(idsOf(await reader.listRecords({ label: 'x\0y', limit: 9 }))).toEqual(['a']);
    expect(idsOf(await reader.listRecords({ session: "'; --", limit: 9 }))).toEqual(['a']);
  });

  describe.skipIf(pgbouncer === undefined)('behind a real pgbouncer in transaction mode', () => {
    let bouncer: PgbouncerServer;

    beforeAll(async () => {
      bouncer = await PgbouncerServer.start(pgbouncer, server);
    });

    afterAll(async () => {
      await bouncer?.stop();
    });

    test('several servers migrate, write and list at once, and leave nothing in a session', async () => {
      const { name } = await fresh();
      const url = bouncer.url(name);
      const stores = await Promise.all([open(url), open(url), open(url), open(url)]);
      await Promise.all(
        stores.flatMap((store, at) =>
          Array.from({ length: 20 }, async (_, n) => {
            await store.write([record(`${at}.${n}`), session(`${at}.${n}`)]);
            await store.reader.listRecords({ limit: 1 });
          }),
        ),
      );
      const [first] = stores;
      expect(await first?.reader.listRecords({ limit: 100 })).toHaveLength(80);
      const other = await connect(url);
      for (let n = 0; n < 10; n += 1) {
        expect((await other.query('show search_path')).rows).toEqual([
          { search_path: '"$user", public' },
        ]);
        expect((await other.query('show statement_timeout')).rows).toEqual([
          { statement_timeout: '0' },
        ]);
      }
      const locks = "select count(*)::int as count from pg_locks where locktype = 'advisory'";
      expect(await server.run(name, locks)).toEqual([{ count: 0 }]);
    }, 60_000);
  });
});
