import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import type { PoolLimits } from '../../../src/pools/pool.js';
import { type Row, rowOf } from '../../../src/store/rows.js';
import type { Schema } from '../../../src/store/schema.js';
import { Store } from '../../../src/store/store.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';

export const LIMITS: PoolLimits = {
  min: 1,
  max: 4,
  waitMs: 10_000,
  idleMs: 30_000,
  lifetimeMs: 600_000,
  checkAfterIdleMs: 5000,
};

/** A database of its own for every test. */
export interface TestDatabase {
  /** Opens it, again and again. */
  readonly open: () => Promise<Store>;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The same tests on SQLite and on a real PostgreSQL. */
export function onEveryDatabase(name: string, tests: (fresh: () => Promise<TestDatabase>) => void) {
  describe(`${name}, on SQLite`, () => {
    tests(async () => {
      const folder = temporaryFolder();
      return { open: () => closedLater(Store.open(folder)) };
    });
  });
  describe.skipIf(postgresql === undefined)(`${name}, on a real PostgreSQL`, () => {
    let server: PostgresqlServer;
    let count = 0;
    beforeAll(async () => {
      server = await PostgresqlServer.start(postgresql);
    }, 60_000);
    afterAll(async () => {
      await server?.stop();
    });
    tests(async () => {
      count += 1;
      const url = await server.create(`test_${count}`);
      return { open: () => closedLater(Store.connect(url, LIMITS)) };
    });
  });
}

async function closedLater(opening: Promise<Store>): Promise<Store> {
  const store = await opening;
  onTestFinished(() => store.close());
  return store;
}

export function session(id: string, changes: Partial<Schema['sessions']> = {}): Row {
  return rowOf('sessions', {
    ...{ id, state: 'open', max_users: 8, users: 1, requests: 2, revision: 1, server: 'here' },
    opened_at_ms: 1_700_000_000_000,
    ended_at_ms: null,
    body: JSON.stringify({ id, note: 'ü 😀 "quoted"' }),
    ...changes,
  });
}

export function receipt(id: string, changes: Partial<Schema['receipts']> = {}): Row {
  const started_at_ms = 1_700_000_000_000;
  const body = JSON.stringify({ id, note: 'ü 😀 "q"' });
  return rowOf('receipts', { id, kind: 'cleanup', session: null, started_at_ms, body, ...changes });
}

export function record(id: string, changes: Partial<Schema['records']> = {}): Row {
  return rowOf('records', {
    ...{ id, at_ms: 1_700_000_000_000, session: 's', user_hash: 'u', model: 'spam' },
    ...{ input_hash: 'h', label: 'ham', score: 0.1, ms: 2.5, tier: null, input: null },
    ...changes,
  });
}

export function idsOf(bodies: readonly unknown[]): readonly unknown[] {
  return bodies.map((body) => (typeof body === 'object' && body && 'id' in body ? body.id : body));
}
