import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Sqlite from 'libsql';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Store, type StoredReceipt, type StoredSession } from '../../../src/store/store.js';

const run = promisify(execFile);

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function open(folder = temporaryFolder()): Promise<Store> {
  const store = await Store.open(folder);
  onTestFinished(() => store.close());
  return store;
}

function session(id: string, changes: Partial<StoredSession> = {}): StoredSession {
  return {
    id,
    state: 'open',
    maxUsers: 8,
    users: 1,
    requests: 2,
    openedAtMs: 1_700_000_000_000,
    endedAtMs: null,
    body: { id, note: 'ü 😀 "quoted"' },
    ...changes,
  };
}

function receipt(id: string, changes: Partial<StoredReceipt> = {}): StoredReceipt {
  const startedAtMs = 1_700_000_000_000;
  return { id, kind: 'cleanup', session: null, startedAtMs, body: { id }, ...changes };
}

function idsOf(bodies: readonly unknown[]): readonly unknown[] {
  return bodies.map((body) => (typeof body === 'object' && body && 'id' in body ? body.id : body));
}

describe('sessions', () => {
  test('are found as they were kept', async () => {
    const store = await open();
    await store.saveSession(session('a'));
    expect(await store.findSession('a')).toEqual({ id: 'a', note: 'ü 😀 "quoted"' });
    expect(await store.findSession('b')).toBeUndefined();
    expect(await store.findSession("a' or '1'='1")).toBeUndefined();
  });

  test('that are kept again are changed, not doubled', async () => {
    const store = await open();
    await store.saveSession(session('a'));
    await store.saveSession(
      session('a', { state: 'ended', endedAtMs: 5, body: { id: 'a', state: 'ended' } }),
    );
    expect(await store.findSession('a')).toEqual({ id: 'a', state: 'ended' });
    expect(await store.listSessions(10)).toHaveLength(1);
  });

  test('are listed newest first, as many as asked for', async () => {
    const store = await open();
    for (const n of [2, 3, 1]) await store.saveSession(session(`s${n}`, { openedAtMs: n }));
    expect(idsOf(await store.listSessions(10))).toEqual(['s3', 's2', 's1']);
    expect(idsOf(await store.listSessions(2))).toEqual(['s3', 's2']);
  });
});

describe('receipts', () => {
  async function filled(): Promise<Store> {
    const store = await open();
    await store.saveReceipt(receipt('r1', { startedAtMs: 100, session: 's1' }));
    await store.saveReceipt(receipt('r2', { startedAtMs: 200, kind: 'recycle' }));
    await store.saveReceipt(receipt('r3', { startedAtMs: 300, session: 's2' }));
    await store.saveReceipt(receipt('r4', { startedAtMs: 300, session: 's1' }));
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
    const store = await filled();
    expect(idsOf(await store.listReceipts({ limit: 100, ...filter }))).toEqual(expected);
  });

  test('that are kept twice stay as they were', async () => {
    const store = await filled();
    await store.saveReceipt(receipt('r1', { body: { id: 'another' } }));
    expect(idsOf(await store.listReceipts({ limit: 100 }))).toEqual(['r4', 'r3', 'r2', 'r1']);
  });
});

describe('pruning', () => {
  test('keeps the newest receipts and sessions, and says how many went', async () => {
    const store = await open();
    for (let n = 1; n <= 10; n += 1) {
      await store.saveReceipt(receipt(`r${n}`, { startedAtMs: n }));
      if (n <= 4) await store.saveSession(session(`s${n}`, { openedAtMs: n }));
    }
    expect(await store.prune(3)).toBe(7 + 1);
    expect(idsOf(await store.listReceipts({ limit: 100 }))).toEqual(['r10', 'r9', 'r8']);
    expect(idsOf(await store.listSessions(100))).toEqual(['s4', 's3', 's2']);
    expect(await store.prune(3)).toBe(0);
  });

  test('keeps as many as it is told to, also of one millisecond', async () => {
    const store = await open();
    for (let n = 1; n <= 9; n += 1) {
      await store.saveReceipt(receipt(`r${n}`));
      await store.saveSession(session(`s${n}`));
    }
    expect(await store.prune(4)).toBe(10);
    expect(idsOf(await store.listReceipts({ limit: 100 }))).toEqual(['r9', 'r8', 'r7', 'r6']);
    expect(await store.listSessions(100)).toHaveLength(4);
  });
});

describe('the file', () => {
  test('is made with its folder, and read again after a restart', async () => {
    const folder = path.join(temporaryFolder(), 'deep', 'er');
    const first = await Store.open(folder);
    await first.saveSession(session('a'));
    await first.saveReceipt(receipt('r'));
    await first.close();
    const second = await open(folder);
    expect(idsOf(await second.listSessions(10))).toEqual(['a']);
    expect(idsOf(await second.listReceipts({ limit: 10 }))).toEqual(['r']);
  });

  test('may be used by two stores', async () => {
    const folder = temporaryFolder();
    const first = await open(folder);
    const second = await open(folder);
    await Promise.all([first.saveSession(session('a')), second.saveSession(session('b'))]);
    expect(await first.findSession('b')).toBeDefined();
    expect(await second.findSession('a')).toBeDefined();
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

/** Servers are processes: what happens between them cannot be tested in one. */
describe('several servers that start at once', () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  let built = '';

  beforeAll(async () => {
    // Below node_modules, where the built files find their packages and git does not look.
    built = mkdtempSync(path.join(root, 'node_modules', '.store-test-'));
    const tsc = path.join(root, 'node_modules', '.bin', 'tsc');
    await run(tsc, ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', built]);
    writeFileSync(
      path.join(built, 'open.mjs'),
      `import { Store } from './store/store.js';
       const [folder, id] = process.argv.slice(2);
       const store = await Store.open(folder);
       await store.saveReceipt({ id, kind: 'k', session: null, startedAtMs: 1, body: { id } });
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
      const store = await open(folder);
      expect([...idsOf(await store.listReceipts({ limit: 10 }))].sort()).toEqual(ids);
    }
  }, 60_000);
});
