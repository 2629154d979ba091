import { beforeAll, describe, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import type { Receipt } from '../../src/contract/receipts.js';
import type { Workers } from '../../src/contract/state/workers.js';
import { classify, get, openSession, request, type Server, startServer, until } from './harness.js';
import { expectError, instant, receiptShape } from './shapes.js';
import { textNumber } from './texts.js';

let server: Server;
const workersNow = async () => (await get<Workers>(server, '/v1/workers')).workers;
const recycle = (id: string) => request<Receipt>(server, 'POST', `/v1/workers/${id}/recycle`);

beforeAll(async () => {
  server = await startServer({ settings: { 'worker.count': 2, 'cache.max_size': '0' } });
});

describe('/v1/workers', () => {
  test('shows each worker, its users, memory and models', async () => {
    const { id } = await openSession(server);
    for (const user of ['ann', 'bob']) {
      await classify(server, textNumber(1), { session: id, user });
    }
    const workers = await until('a reading has been taken', async () => {
      const now = await workersNow();
      return now.every(({ private_mb }) => private_mb !== null) ? now : undefined;
    });
    expect(workers).toHaveLength(2);
    for (const worker of workers) {
      expect(worker).toStrictEqual({
        id: expect.stringMatching(/^worker-\d+$/),
        pid: expect.any(Number),
        state: 'ready',
        busy: false,
        age_s: expect.any(Number),
        users_since_recycle: 2,
        private_mb: expect.any(Number),
        models: expect.any(Array),
      });
    }
    const { models } = await get<Models>(server, '/v1/models');
    expect(models[0]?.last_used_at).toEqual(instant);
  });

  test('one is replaced when it is asked for, with a receipt; the other stays', async () => {
    const [first, second] = await workersNow();
    const reply = await recycle(first?.id ?? '');
    expect(reply.status).toBe(200);
    expect(reply.body).toStrictEqual({
      ...receiptShape,
      kind: 'recycle',
      cause: `${first?.id}, asked for`,
    });
    expect(reply.body.actions.map(({ action, worker }) => [action, worker])).toEqual([
      ['replace_worker', first?.id],
    ]);
    const after = await workersNow();
    expect(after.map(({ id }) => id)).toContain(second?.id);
    expect(after.map(({ id }) => id)).not.toContain(first?.id);
    expect(after).toHaveLength(2);
    expect(after.find(({ id }) => id !== second?.id)?.users_since_recycle).toBe(0);
  });

  test('a second one at once is refused, and everything at once is not', async () => {
    const [first, second] = await workersNow();
    const replies = await Promise.all([first, second].map((of) => recycle(of?.id ?? '')));
    const refused = replies.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(1);
    for (const reply of refused) {
      expectError(reply, 'RECYCLE_RUNNING');
      expect(reply.headers['retry-after']).toBe('1');
    }
    const [third] = await workersNow();
    const both = [recycle(third?.id ?? ''), request<Receipt>(server, 'POST', '/v1/memory/recycle')];
    expect((await Promise.all(both)).at(-1)?.status).toBe(200);
    expect(await workersNow()).toHaveLength(2);
  });

  test('an unknown one is not found', async () => {
    expectError(await recycle('worker-999'), 'WORKER_NOT_FOUND', /worker-999/);
  });
});
