import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Sqlite from 'libsql';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { rowOf } from '../../../src/store/rows.js';
import type { Schema } from '../../../src/store/schema.js';
import { Store } from '../../../src/store/store.js';
import { idsOf, onEveryDatabase, receipt, record, session, temporaryFolder } from './databases.js';

const run = promisify(execFile);

onEveryDatabase('sessions', (fresh) => {
  const open = async () => (await fresh()).open();

  test('are found as they were kept, also after a new start', async () => {
    const database = await fresh();
    const first = await database.open();
    await first.write([session('a', { requests: 2 ** 40 })]);
    const reader = (await database.open()).reader;
    expect(await reader.findSession('a')).toEqual({ id: 'a', note: 'ü 😀 "quoted"' });
    expect(await reader.findSession('b')).toBeUndefined();
    expect(await reader.findSession("a' or '1'='1")).toBeUndefined();
  });

  test('have their last state, whatever comes late or twice', async () => {
    const store = await open();
    const state = (revision: number) =>
      session('a', { revision, body: JSON.stringify({ revision }) });
    await store.write([state(1), session('b'), state(2)]);
    const reader = store.reader;
    expect(await reader.findSession('a')).toEqual({ revision: 2 });
    await store.write([state(4)]);
    await store.write([state(3)]);
    await store.write([state(1), state(2)]);
    expect(await reader.findSession('a')).toEqual({ revision: 4 });
    expect(await reader.listSessions(10)).toHaveLength(2);
  });

  test('are listed newest first, as many as asked for', async () => {
    const store = await open();
    await store.write([2, 3, 1].map((n) => session(`s${n}`, { opened_at_ms: n })));
    const reader = store.reader;
    expect(idsOf(await reader.listSessions(10))).toEqual(['s3', 's2', 's1']);
    expect(idsOf(await reader.listSessions(2))).toEqual(['s3', 's2']);
  });

  test('of servers that are gone are found, and no others', async () => {
    const store = await open();
    const server = (id: string, seen_at_ms: number) =>
      rowOf('servers', { id, started_at_ms: 0, seen_at_ms });
    await store.write([
      ...[server('here', 100), server('there', 100), server('gone', 5)],
      session('ours', { opened_at_ms: 1 }),
      session('ended', { state: 'ended' }),
      session('theirs', { server: 'there' }),
      session('silent', { server: 'gone', state: 'ending', opened_at_ms: 2 }),
      session('nameless', { server: null, opened_at_ms: 3 }),
      session('unknown', { server: 'dropped', opened_at_ms: 4 }),
    ]);
    const reader = store.reader;
    const found = await reader.findAbandoned(['here'], 50, 10);
    expect(idsOf(found)).toEqual(['ours', 'silent', 'nameless', 'unknown']);
    expect(found[0]).toMatchObject({ revision: 1, body: { id: 'ours' } });
    expect(idsOf(await reader.findAbandoned([], 0, 10))).toEqual(['nameless', 'unknown']);
  });
});

onEveryDatabase('receipts', (fresh) => {
  async function filled(): Promise<Store> {
    const store = await (await fresh()).open();
    await store.write([
      receipt('r1', { started_at_ms: 100, session: 's1' }),
      receipt('r2', { started_at_ms: 200, kind: 'recycle' }),
      receipt('r3', { started_at_ms: 300, session: 's2' }),
      receipt('r4', { started_at_ms: 300, session: 's1' }),
    ]);
    return store;
  }

  test.each([
    ['all, newest first', {}, ['r4', 'r3', 'r2', 'r1']],
    ['a few', { limit: 2 }, ['r4', 'r3']],
    ['of a kind', { kind: 'recycle' }, ['r2']],
    ['of a session', { session: 's1' }, ['r4', 'r1']],
    ['since a time, itself included', { sinceMs: 200 }, ['r4', 'r3', 'r2']],
    ['until a time, itself left out', { untilMs: 300 }, ['r2', 'r1']],
    ['between two times', { sinceMs: 101, untilMs: 300 }, ['r2']],
    ['of a kind and a session', { kind: 'cleanup', session: 's2' }, ['r3']],
    ['of nothing', { kind: 'eviction' }, []],
  ])('%s', async (_case, filter, expected) => {
    const reader = (await filled()).reader;
    expect(idsOf(await reader.listReceipts({ limit: 100, ...filter }))).toEqual(expected);
  });

  test('that are kept twice stay as they were', async () => {
    const store = await filled();
    await store.write([receipt('r1', { body: '{"id":"another"}' })]);
    const reader = store.reader;
    const ids = idsOf(await reader.listReceipts({ limit: 100 }));
    expect(ids).toEqual(['r4', 'r3', 'r2', 'r1']);
  });
});

onEveryDatabase('records, events, users and readings', (fresh) => {
  test('come back as they were, by what they are asked for', async () => {
    const store = await (await fresh()).open();
    const full: Schema['records'] = {
      ...{ id: 'r1', at_ms: 1_700_000_000_001, session: 's1', user_hash: 'u1', model: 'org/m' },
      ...{ input_hash: 'h', label: 'spam', score: 0.123456789, ms: 1.234, tier: 'redis' },
      input: 'ü 😀 "q"',
    };
    await store.write([rowOf('records', full), record('r0'), record('r2', { label: 'spam' })]);
    const reader = store.reader;
    expect(await reader.listRecords({ limit: 1 })).toEqual([full]);
    for (const [filter, ids] of [
      [{}, ['r1', 'r2', 'r0']],
      [{ session: 's1' }, ['r1']],
      [{ userHash: 'u' }, ['r2', 'r0']],
      [{ model: 'org/m' }, ['r1']],
      [{ label: 'spam' }, ['r1', 'r2']],
      [{ sinceMs: 1_700_000_000_001 }, ['r1']],
      [{ untilMs: 1_700_000_000_001 }, ['r2', 'r0']],
    ] as const) {
      expect(idsOf(await reader.listRecords({ ...filter, limit: 10 }))).toEqual(ids);
    }
  });

  test('a text with a NUL is kept, and holds nothing up', async () => {
    const store = await (await fresh()).open();
    expect(await store.write([record('r', { input: 'a\0b\uD800c' })])).toEqual([]);
    const [found] = await store.reader.listRecords({ limit: 1 });
    expect(found?.input).toBe('a\uFFFDb\uFFFDc');
  });

  test('many rows of many tables at once, some of them there already', async () => {
    const store = await (await fresh()).open();
    const rows = Array.from({ length: 300 }, (_, n) => record(`r${n}`, { at_ms: n }));
    await store.write(rows.slice(100, 150));
    await store.write([...rows, receipt('x'), session('y'), ...rows.slice(0, 7)]);
    const reader = store.reader;
    const found = idsOf(await reader.listRecords({ limit: 1000 }));
    expect(found).toEqual(Array.from({ length: 300 }, (_, n) => `r${299 - n}`));
    expect(await reader.listReceipts({ limit: 10 })).toHaveLength(1);
  });

  test.each([1, 3, 8, 40])('rows of %i users, each under what is its own', async (users) => {
    const store = await (await fresh()).open();
    const fields = Array.from({ length: 600 }, (_, n) => ({
      ...{ id: `r${n}`, at_ms: n, session: `s${n % 2}`, user_hash: `u${(n * 7) % users}` },
      ...{ model: n < 590 ? 'spam' : 'other', input_hash: `h${n}`, label: `l${n % 3}` },
      ...{ score: n / 600, ms: n + 0.5, tier: n % 5 === 0 ? null : 'memory' },
      input: n % 50 === 0 ? `text ${n}` : null,
    }));
    await store.write(fields.map((of) => rowOf('records', of)));
    const found = await store.reader.listRecords({ limit: 1000 });
    expect([...found].reverse()).toEqual(fields);
  });

  test('a row that the database will never take is named, and the others are kept', async () => {
    const store = await (await fresh()).open();
    const bad = rowOf('records', { id: 'bad' });
    const rows = [record('a'), bad, record('b'), record('c')];
    const refused = await store.write(rows);
    expect(refused).toEqual([{ row: bad, reason: expect.stringMatching(/null/i) }]);
    const reader = store.reader;
    expect(idsOf(await reader.listRecords({ limit: 10 }))).toEqual(['c', 'b', 'a']);
  });

  test('events and users, in their order', async () => {
    const store = await (await fresh()).open();
    const event = { server: 'a', text: 't', session: null, model: null, worker: null };
    const user = (user_hash: string, at_ms: number) =>
      rowOf('session_users', { id: `s.${user_hash}`, session: 's', user_hash, at_ms });
    await store.write([
      rowOf('events', { ...event, id: 'e1', at_ms: 1, kind: 'k' }),
      rowOf('events', { ...event, id: 'e2', at_ms: 2, kind: 'other' }),
      ...[user('b', 1), user('a', 2), user('b', 3)],
    ]);
    const reader = store.reader;
    expect(idsOf(await reader.listEvents({ limit: 9 }))).toEqual(['e2', 'e1']);
    expect(idsOf(await reader.listEvents({ limit: 9, kind: 'k' }))).toEqual(['e1']);
    expect((await reader.listUsers('s')).map(({ user_hash, at_ms }) => [user_hash, at_ms])).toEqual(
      [
        ['b', 1],
        ['a', 2],
      ],
    );
  });

  test('readings are each server’s own', async () => {
    const store = await (await fresh()).open();
    const names = ['server_total', 'load_line', 'server_used_mean', 'server_used_max'];
    names.push('private_mean', 'private_max', 'pss_mean', 'pss_max');
    const bytes = Object.fromEntries(names.map((name) => [`${name}_bytes`, 2 ** 40]));
    const row = (server: string, at_ms: number) =>
      ({
        ...{ id: `${server}.${at_ms}`, server, at_ms, count: 60, pressure_max: 1 },
        ...bytes,
      }) as Schema['readings'];
    const rows = [row('a', 1), row('b', 1), row('a', 2)];
    await store.write(rows.map((of) => rowOf('readings', of)));
    const reader = store.reader;
    expect(await reader.listReadings('a', 0, 10)).toEqual([rows[0], rows[2]]);
    expect(await reader.listReadings('a', 2, 10)).toEqual([rows[2]]);
  });
});

onEveryDatabase('pruning', (fresh) => {
  test('keeps the newest of each table, and says how many went', async () => {
    const store = await (await fresh()).open();
    const many = Array.from({ length: 10 }, (_, n) => n + 1);
    await store.write(many.map((n) => receipt(`r${n}`, { started_at_ms: n })));
    await store.write(many.slice(0, 4).map((n) => session(`s${n}`, { opened_at_ms: n })));
    await store.write(many.map((n) => record(`c${n}`, { at_ms: n })));
    const limits = { rows: { receipts: 3, sessions: 3 }, beforeMs: 0 };
    expect(await store.prune(limits)).toBe(7 + 1);
    const reader = store.reader;
    expect(idsOf(await reader.listReceipts({ limit: 100 }))).toEqual(['r10', 'r9', 'r8']);
    expect(idsOf(await reader.listSessions(100))).toEqual(['s4', 's3', 's2']);
    expect(await reader.listRecords({ limit: 100 })).toHaveLength(10);
    expect(await store.prune(limits)).toBe(0);
  });

  test('keeps as many as it is told to, also of one millisecond', async () => {
    const store = await (await fresh()).open();
    for (let n = 1; n <= 9; n += 1) await store.write([receipt(`r${n}`), session(`s${n}`)]);
    expect(await store.prune({ rows: { receipts: 4, sessions: 4 }, beforeMs: 0 })).toBe(10);
    const reader = store.reader;
    expect(idsOf(await reader.listReceipts({ limit: 100 }))).toEqual(['r9', 'r8', 'r7', 'r6']);
    expect(await reader.listSessions(100)).toHaveLength(4);
  });

  test('drops what is too old from every table, in more steps than one', async () => {
    const store = await (await fresh()).open();
    const rows = Array.from({ length: 450 }, (_, n) => record(`c${n}`, { at_ms: n }));
    await store.write(rows);
    await store.write([receipt('r', { started_at_ms: 5 }), session('s', { opened_at_ms: 5 })]);
    expect(await store.prune({ rows: {}, beforeMs: 440 })).toBe(440 + 2);
    const reader = store.reader;
    expect(await reader.listRecords({ limit: 100 })).toHaveLength(10);
    expect(await reader.listReceipts({ limit: 100 })).toEqual([]);
  });
});

describe('the file', () => {
  const open = async (folder: string) => {
    const store = await Store.open(folder);
    onTestFinished(() => store.close());
    return store;
  };

  test('is made with its folder', async () => {
    const folder = path.join(temporaryFolder(), 'deep', 'er');
    const store = await open(folder);
    await store.write([session('a')]);
    expect(idsOf(await store.reader.listSessions(10))).toEqual(['a']);
  });

  test('may be used by two stores', async () => {
    const folder = temporaryFolder();
    const first = await open(folder);
    const second = await open(folder);
    await first.write([session('a')]);
    await second.write([session('b')]);
    expect(await first.reader.findSession('b')).toBeDefined();
    expect(await second.reader.findSession('a')).toBeDefined();
  });

  test('of the schema before records had a place is brought up to date with what is in it', async () => {
    const folder = temporaryFolder();
    const raw = new Sqlite(path.join(folder, 'plimsoll.db'));
    raw.exec(BEFORE_RECORDS);
    raw.close();
    const reader = (await open(folder)).reader;
    expect(await reader.findSession('old')).toEqual({ id: 'old' });
    expect(idsOf(await reader.findAbandoned(['any'], 0, 10))).toEqual(['old']);
    expect(await reader.listReadings('any', 0, 10)).toMatchObject([
      { id: '.60000', server: '', at_ms: 60_000, count: 1, pressure_max: 10 },
    ]);
  });

  test('is for its owner alone, with its log and its folder; also one of an earlier version', async () => {
    const folder = path.join(temporaryFolder(), 'data');
    const modes = () => [
      statSync(folder).mode & 0o777,
      ...readdirSync(folder).map((name) => statSync(path.join(folder, name)).mode & 0o777),
    ];
    await (await open(folder)).write([session('a')]);
    expect(modes()).toEqual([0o700, 0o600, 0o600, 0o600]);
    const earlier = path.join(temporaryFolder(), 'data');
    mkdirSync(earlier, { mode: 0o755 });
    const file = path.join(earlier, 'plimsoll.db');
    writeFileSync(file, '', { mode: 0o644 });
    await open(earlier);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(earlier).mode & 0o777).toBe(0o700);
  });

  test.each([
    ['it is deleted', (file: string) => rmSync(file)],
    ['its folder is deleted', (file: string) => rmSync(path.dirname(file), { recursive: true })],
    ['it is replaced by an empty one', (file: string) => replace(file)],
  ])('is made anew when %s, and the store says so', async (_what, spoil) => {
    const folder = path.join(temporaryFolder(), 'data');
    const file = path.join(folder, 'plimsoll.db');
    const store = await open(folder);
    const restored = vi.fn();
    store.whenRestored(restored);
    await store.write([record('before')]);
    spoil(file);
    const [, found] = await Promise.all([
      store.write([record('a')]),
      store.reader.listSessions(9),
      store.write([record('b')]),
    ]);
    expect(found).toEqual([]);
    expect(restored).toHaveBeenCalledTimes(1);
    const other = await open(folder);
    expect([...idsOf(await other.reader.listRecords({ limit: 9 }))].sort()).toEqual(['a', 'b']);
  });

  test('that cannot be made anew fails every write until it can', async () => {
    const folder = path.join(temporaryFolder(), 'data');
    const store = await open(folder);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, 'a file in its place');
    // It is noticed without a write, and readiness tells of it.
    await vi.waitUntil(() => store.goneBecause !== '', { timeout: 20_000, interval: 20 });
    expect(store.goneBecause).toMatch(/plimsoll\.db cannot be used/);
    await expect(store.write([record('a')])).rejects.toThrow(/plimsoll\.db cannot be used/);
    rmSync(folder);
    await store.write([record('a')]);
    expect(store.goneBecause).toBe('');
    expect(idsOf(await store.reader.listRecords({ limit: 9 }))).toEqual(['a']);
  });

  test('that is no database is refused by its name', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'plimsoll.db');
    writeFileSync(file, 'this is no database, but text that is long enough to be one\n'.repeat(50));
    await expect(Store.open(folder)).rejects.toThrow(
      `${file} cannot be used: file is not a database`,
    );
  });

  test('that is a folder, or below a file, is refused by its name', async () => {
    const file = path.join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(Store.open(file)).rejects.toThrow(file);
  });

  test('of a newer version is refused', async () => {
    const folder = temporaryFolder();
    await (await Store.open(folder)).close();
    const raw = new Sqlite(path.join(folder, 'plimsoll.db'));
    raw.exec("insert into kysely_migration values ('9999_later', '2099-01-01T00:00:00.000Z')");
    raw.close();
    await expect(Store.open(folder)).rejects.toThrow(/9999_later/);
  });
});

function replace(file: string): void {
  rmSync(file);
  writeFileSync(file, '');
}

/** What the first two migrations made, as `.schema` of sqlite3 shows it, with a row in each table. */
const BEFORE_RECORDS = `
create table kysely_migration (name varchar(255) not null primary key, timestamp varchar(255) not null);
create table kysely_migration_lock (id varchar(255) not null primary key, is_locked integer default 0 not null);
insert into kysely_migration_lock values ('migration_lock', 0);
insert into kysely_migration values ('0001_sessions_and_receipts', '2026-01-01'), ('0002_readings', '2026-01-02');
create table sessions (id text primary key, state text not null, max_users integer not null, users integer not null,
  requests bigint not null, opened_at_ms bigint not null, ended_at_ms bigint, body text not null);
create index sessions_by_time on sessions (opened_at_ms);
create table receipts (id text primary key, kind text not null, session text, started_at_ms bigint not null,
  body text not null);
create index receipts_by_time on receipts (started_at_ms);
create index receipts_by_session on receipts (session);
create table readings (at_ms bigint primary key, count bigint not null, server_total_bytes bigint not null,
  load_line_bytes bigint not null, server_used_mean_bytes bigint not null, server_used_max_bytes bigint not null,
  private_mean_bytes bigint not null, private_max_bytes bigint not null, pss_mean_bytes bigint not null,
  pss_max_bytes bigint not null, pressure_max bigint not null);
insert into sessions values ('old', 'open', 8, 1, 2, 1, null, '{"id":"old"}');
insert into readings values (60000, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
`;

/** Servers are processes: what happens between them cannot be tested in one. */
describe('several servers that start at once', () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  let built = '';

  beforeAll(async () => {
    // Below node_modules, where the built files find their packages and git does not look.
    built = mkdtempSync(path.join(root, 'node_modules', '.store-test-'));
    const tsc = path.join(root, 'node_modules', '.bin', 'tsc');
    await run(tsc, [
      '-p',
      path.join(root, 'tsconfig.build.json'),
      '--noEmit',
      'false',
      '--outDir',
      built,
    ]);
    writeFileSync(
      path.join(built, 'open.mjs'),
      `import { Store } from './store/store.js';
       import { DataSlot } from './store/data-slot.js';
       import { rowOf } from './store/rows.js';
       const [folder, id] = process.argv.slice(2);
       const store = await Store.open(folder);
       const slot = DataSlot.take(folder);
       const row = rowOf('receipts', { id, kind: slot.server, session: null, started_at_ms: 1, body: JSON.stringify({ id }) });
       // Only one of them has the file at a time, and nobody waits in it for long.
       for (let left = 100; left > 0; left -= 1) {
         try { await store.write([row]); break; } catch (error) { if (left === 1) throw error; }
         await new Promise((resolve) => setTimeout(resolve, 20));
       }
       process.stdout.write(slot.server);
       await store.close();`,
    );
    writeFileSync(path.join(built, 'package.json'), '{"type": "module"}');
  }, 60_000);

  afterAll(() => rmSync(built, { recursive: true, force: true }));

  test('all open the new database and keep their records', async () => {
    for (let round = 0; round < 3; round += 1) {
      const folder = temporaryFolder();
      const ids = ['a', 'b', 'c', 'd'].map((name) => `${name}${round}`);
      await Promise.all(
        ids.map((id) => run(process.execPath, [path.join(built, 'open.mjs'), folder, id])),
      );
      const store = await Store.open(folder);
      onTestFinished(() => store.close());
      const reader = store.reader;
      expect([...idsOf(await reader.listReceipts({ limit: 10 }))].sort()).toEqual(ids);
    }
  }, 60_000);
});
