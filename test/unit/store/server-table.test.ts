import { describe, expect, onTestFinished, test } from 'vitest';
import { Store } from '../../../src/store/store.js';
import { during } from '../../servers/during.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';

const LIMITS = {
  ...{ min: 0, max: 2, waitMs: 5000, idleMs: 60_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 60_000,
};
const LONG = 600_000;

describe.skipIf(postgresql === undefined)('servers that share a real PostgreSQL', () => {
  const database = during(() => PostgresqlServer.start(postgresql));
  const open = async () => {
    const store = await Store.connect(database().url(), LIMITS, 'fleet');
    onTestFinished(() => store.close());
    return store.servers;
  };

  test('see one another, with the time since each was heard, and forget who leaves', async () => {
    const [a, b] = [await open(), await open()];
    await a.put('a.1', 'first', LONG, 'a.');
    await a.put('a.1', 'second', LONG, '');
    await b.put('b.1', 'other', LONG, 'b.');
    const listed = await a.list();
    expect(listed.map(({ told }) => told).sort()).toEqual(['other', 'second']);
    for (const { silentMs } of listed) {
      expect(silentMs).toBeGreaterThanOrEqual(0);
      expect(silentMs).toBeLessThan(60_000);
    }
    await b.remove('b.1');
    expect((await a.list()).map(({ told }) => told)).toEqual(['second']);
    // It was killed and started again.
    await a.put('a.2', 'again', LONG, 'a.');
    expect((await a.list()).map(({ told }) => told)).toEqual(['again']);
    await b.put('b.2', 'later', -60_000, 'b.');
    expect((await a.list()).map(({ told }) => told)).toEqual(['later']);
  });
});
