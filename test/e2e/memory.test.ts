import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { generateSyntheticModel } from '../../bench/synthetic/index.js';
import type { Models } from '../../src/contract/models.js';
import type { Receipt, Receipts } from '../../src/contract/receipts.js';
import {
  classify,
  get,
  post,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
  workerPids,
} from './harness.js';
import { type Expected, Load, undisturbed } from './load.js';
import { expectError } from './shapes.js';
import { SPAM, textNumber } from './texts.js';

const WORKERS = 2;

function receiptsOf(server: Server, kind: string): Promise<readonly Receipt[]> {
  return get<Receipts>(server, `/v1/receipts?kind=${kind}`).then(({ receipts }) => receipts);
}

describe('recycling', () => {
  let server: Server;
  let expected: readonly Expected[];

  beforeAll(async () => {
    const settings = {
      'worker.count': WORKERS,
      'cache.max_size': '0',
      'recycle.after_users': 10,
    };
    server = await startServer({ settings });
    expected = await undisturbed(server, 24);
  });

  test('under load replaces every worker, and no request fails or is answered wrongly', async () => {
    const before = await workerPids(server);
    const load = new Load(server, expected, { users: 8 });
    await until('the load runs', () => load.answered >= 8);
    const receipt = await post<Receipt>(server, '/v1/memory/recycle');
    const answered = load.answered + 8;
    await until('the load goes on', () => load.answered >= answered);
    await load.finish();
    expect(load.wrong).toEqual([]);
    // One that the users of the load have set off meanwhile is shared.
    expect(receipt.cause).toMatch(/^(asked for|\d+ users)$/);
    expect(receipt).toMatchObject({ kind: 'recycle', session: null });
    const actions = receipt.actions.map(({ action }) => action);
    expect(actions.filter((action) => action === 'replace_worker')).toHaveLength(WORKERS);
    expect(actions).toContain('clear_caches');
    const after = await workerPids(server);
    expect(after).toHaveLength(WORKERS);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  });

  test('comes by itself when enough users have been counted, and starts counting anew', async () => {
    await post(server, '/v1/memory/recycle');
    const earlier = (await receiptsOf(server, 'recycle')).length;
    for (let user = 1; user <= 10; user += 1) {
      const { id } = await post<{ id: string }>(server, '/v1/sessions');
      await classify(server, textNumber(user), { session: id, user: `user-${user}` });
      await post(server, `/v1/sessions/${id}/end`);
    }
    const receipts = await until('the recycle is over', async () => {
      const now = await receiptsOf(server, 'recycle');
      return now.length > earlier ? now : undefined;
    });
    expect(receipts[0]?.cause).toMatch(/^\d+ users$/);
    const { users_since_recycle: users } = await get<{ users_since_recycle: number }>(
      server,
      '/v1/memory',
    );
    expect(users).toBeLessThan(10);
  });

  test('readings of the last hour are kept', async () => {
    const { seconds } = await until('there are some', async () => {
      const readings = await get<{ seconds: Record<string, unknown>[] }>(
        server,
        '/v1/memory/readings',
      );
      return readings.seconds.length >= 3 ? readings : undefined;
    });
    for (const reading of seconds) {
      expect(reading.private_mb).toBeGreaterThan(10);
      expect(reading.server_used_mb).toBeLessThan(Number(reading.server_total_mb));
      expect(reading.pressure).toBe('normal');
    }
  });
});

describe('an idle model', () => {
  test('is unloaded by itself, with a receipt, and reloaded by the next request', async () => {
    const server = await startServer({ settings: { 'cache.max_size': '0' } });
    for (const turn of [1, 2]) {
      await classify(server, textNumber(turn));
      await classify(server, textNumber(turn + 10));
      const state = async () => (await get<Models>(server, '/v1/models')).models[0]?.state;
      await until('it is unloaded', async () =>
        (await state()) === 'unloaded' ? true : undefined,
      );
      const unloads = await until('the receipt is there', async () => {
        const receipts = await receiptsOf(server, 'unload');
        return receipts.length >= turn ? receipts : undefined;
      });
      expect(unloads[0]).toMatchObject({ kind: 'unload', cause: 'idle' });
      expect(unloads[0]?.actions[0]).toMatchObject({ action: 'unload_model', model: 'spam' });
    }
    await server.stop();
  });
});

describe('a model that does not fit under the line', () => {
  test('even alone is refused at once, with the figures', async () => {
    const models = await temporaryFolder();
    const directory = path.join(models, 'large');
    await generateSyntheticModel({
      shape: 'distilbert',
      seed: 7,
      directory,
      tokenizerDirectory: SPAM,
    });
    const server = await startServer({ models, settings: { 'memory.load_line': '100M' } });
    const reply = await request(server, 'POST', '/v1/models/large/load');
    expectError(reply, 'INSUFFICIENT_MEMORY', /1\d\d\.\d MB.*100\.0 MB.*even alone/);
    expect(reply.status).toBe(507);
    expect((await request(server, 'GET', '/health/live')).status).toBe(200);
    await server.stop();
  });

  test('now, because others use the memory, is refused with the figures after a while', async () => {
    // Whatever else runs on this machine takes more than 64 MB, and no idle model could be evicted.
    const server = await startServer({ settings: { 'memory.load_line': '64M' } });
    const reply = await request(server, 'POST', '/v1/models/spam/load');
    expectError(reply, 'INSUFFICIENT_MEMORY', /in use or promised/);
    await until('new sessions are refused', async () => {
      const refused = await request(server, 'POST', '/v1/sessions');
      if (refused.status === 201) return undefined;
      expectError(refused, 'MEMORY_PRESSURE');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
      return true;
    });
    const causes = (await receiptsOf(server, 'pressure')).map(({ cause }) => cause).reverse();
    expect(causes.slice(0, 6)).toEqual(
      [
        'trim_cache',
        'unload_idle_models',
        'return_free_heap',
        'recycle_fattest_idle_worker',
        'smaller_batches',
        'refuse_sessions',
      ].map((action) => `pressure critical: ${action}`),
    );
    await server.stop();
  });
});
