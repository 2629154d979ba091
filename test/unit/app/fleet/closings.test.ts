import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Archive } from '../../../../src/app/archive/archive.js';
import { Fleet } from '../../../../src/app/fleet/fleet.js';
import { redisPool } from '../../../../src/cache/redis-connection.js';
import type { RedisTier } from '../../../../src/cache/redis-tier.js';
import type { Heartbeat } from '../../../../src/contract/fleet.js';
import type { SessionRegistry } from '../../../../src/sessions/registry.js';
import { shownShared } from '../../../../src/sessions/shown.js';
import { readConfig } from '../../../../src/settings/config.js';
import { Store } from '../../../../src/store/store.js';
import { during } from '../../../servers/during.js';
import { RedisServer } from '../../../servers/redis.js';
import { redis } from '../../../servers/tools.js';
import { LIMITS, Member } from '../../sessions/fleet/fleets.js';

const SECRET = 'secret of a test';
const AMPLE = { timeout: 20_000, interval: 20 };

/** A server without parts in sessions: its fleet, and a database of its own, for it reads what it wrote. */
async function bystander(url: string) {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-closings-'));
  const log = pino({ level: 'silent' });
  const store = await Store.open(folder);
  const archive = new Archive({
    ...{ store, log, secret: SECRET, dataFolder: folder, keepText: false },
    ...{ flushMs: 1, retryMs: 100, maxBufferBytes: 1e6, maxSpillBytes: 1e6 },
    ...{ keepReceipts: 100, keepRecords: 100, maxAgeMs: 1e9 },
  });
  await archive.start(() => undefined);
  const pool = redisPool(url, LIMITS);
  const config = readConfig({}, { 'cache.secret': SECRET }, { cpus: 1 });
  const tier = { pool } as unknown as RedisTier;
  const fleet = new Fleet({ config, redis: tier, store, archive, log });
  onTestFinished(async () => {
    await fleet.leave();
    await archive.close();
    await pool.close();
    rmSync(folder, { recursive: true });
  });
  const held = vi.fn<SessionRegistry['held']>(() => []);
  const sessions = {
    ...{ held, find: () => undefined, noteShared: () => undefined },
    endedElsewhere: () => undefined,
  } as unknown as SessionRegistry;
  await fleet.start(sessions, () => ({ id: fleet.id }) as unknown as Heartbeat);
  const stateOf = async (id: string) => {
    const session = await archive.session(id);
    return [session?.state, session?.fleet?.servers.map(({ state }) => state).join()];
  };
  return { fleet, archive, held, stateOf };
}

describe.skipIf(redis === undefined)('a session whose servers are all gone', () => {
  const redisServer = during(() => RedisServer.start(redis));

  /** A server that opens a session, which the database of the other one has too, and is not heard of any more. */
  const opened = async (archive: Archive, idleTimeoutMs: number) => {
    const gone = new Member(redisServer().url(), 'gone', { idleTimeoutMs });
    await gone.beat();
    const id = await gone.open();
    await gone.ask(id, 'anna');
    await gone.beat();
    const view = gone.registry.find(id);
    if (view !== undefined) archive.keepShared(shownShared(view, gone.directory));
    return { gone, id };
  };
  const allowEnds = (by: Member) => by.redis.run("redis.call('DEL', ARGV[1] .. 'hold')", [], 5000);

  test('is ended in the database by whoever ends it, and with the parts that are lost once that is known', async () => {
    const { fleet, archive, stateOf } = await bystander(redisServer().url());
    const { gone, id } = await opened(archive, 60_000);
    expect(await stateOf(id)).toEqual(['open', 'open']);
    expect(await fleet.directory?.end(id, 'ended by the caller', undefined)).toBe('ended');
    const session = await fleet.directory?.describe(id);
    if (session !== undefined) fleet.keepEnded(session);
    expect(await stateOf(id)).toEqual(['ending', 'open']);
    await gone.members.leave(gone.id);
    await fleet.beat();
    await vi.waitFor(async () => expect(await stateOf(id)).toEqual(['ended', 'lost']), AMPLE);
  });

  test('is ended in the database when it was idle, though a part was not known to be lost then, or a report failed', async () => {
    const { fleet, archive, held, stateOf } = await bystander(redisServer().url());
    const { gone, id } = await opened(archive, 200);
    await new Promise((resolve) => setTimeout(resolve, 250));
    await allowEnds(gone);
    held.mockImplementationOnce(() => {
      throw new Error('the report failed');
    });
    await fleet.beat();
    expect((await gone.directory.describe(id))?.state).toBe('ended');
    await fleet.beat();
    expect((await stateOf(id))[0]).not.toBe('ended');
    const keep = vi.spyOn(archive, 'keepShared');
    await gone.members.leave(gone.id);
    await vi.waitFor(async () => {
      await fleet.beat();
      expect(await stateOf(id)).toEqual(['ended', 'lost']);
    }, AMPLE);
    await fleet.beat();
    expect(keep).toHaveBeenCalledTimes(1);
  });
});
