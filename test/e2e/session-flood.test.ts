import http from 'node:http';
import { expect, test } from 'vitest';
import type { Receipts } from '../../src/contract/receipts.js';
import type { Sessions, SessionView } from '../../src/contract/sessions.js';
import { classify, endSession, get, openSession, request, startServer, until } from './harness.js';
import { textNumber } from './texts.js';

const USERS = 1000;
const AT_ONCE = 8;

test('a flood of ambient users makes one cleanup at a time; an own session ends before it; SIGTERM says all', async () => {
  const server = await startServer({ settings: { 'worker.count': 1 } });
  const { id } = await openSession(server);
  await classify(server, textNumber(1), { session: id });
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let next = 0;
  const users = Array.from({ length: AT_ONCE }, async () => {
    for (let user = next++; user < USERS; user = next++) {
      await classify(server, textNumber(user % 20), { user: `user-${user}` }, agent);
    }
  });
  await until('the flood has begun', async () => next > USERS / 4);
  const ended = await endSession(server, id);
  expect(ended.cleanup.session).toBe(id);
  await Promise.all(users);
  agent.destroy();
  const { sessions } = await get<Sessions>(server, '/v1/sessions');
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  const runs = server.logs.filter(({ msg }) => msg.startsWith('cleanup runs'));
  const begins = server.logs.filter(({ msg }) => /^cleanup (runs|done)/.test(msg));
  // 125 sessions have ended; one cleanup each would be as many.
  expect(runs.length).toBeLessThan(USERS / 8);
  for (const [index, { msg }] of begins.entries()) {
    expect(msg).toMatch(index % 2 === 0 ? /^cleanup runs/ : /^cleanup done/);
  }
  const again = await startServer({ data: server.data });
  const open = sessions.filter(({ state }) => state !== 'ended');
  expect(open.length).toBeGreaterThan(0);
  for (const session of open) {
    const view = await get<SessionView>(again, `/v1/sessions/${session.id}`);
    expect(view).toMatchObject({ state: 'ended', cleanup: { session: session.id } });
    const { receipts } = await get<Receipts>(again, `/v1/receipts?session=${session.id}`);
    expect(receipts).toEqual([view.cleanup]);
  }
  await again.stop();
});

test('a request that never ends is cut off in time for the sessions to be said', async () => {
  const server = await startServer({ settings: { 'worker.count': 1, 'shutdown.grace_ms': 3000 } });
  const { id } = await openSession(server);
  const inputs = Array.from({ length: 1000 }, (_, index) => textNumber(index, 400));
  const running = request(server, 'POST', '/v1/classify', { body: { inputs, session: id } }).catch(
    (error: unknown) => error,
  );
  await until('it runs', async () =>
    /^plimsoll_inputs_waiting [1-9]/m.test(await get<string>(server, '/metrics')),
  );
  expect(await server.stop()).toEqual({ code: 1, signal: null });
  await running;
  const again = await startServer({ data: server.data });
  const view = await get<SessionView>(again, `/v1/sessions/${id}`);
  expect(view).toMatchObject({ state: 'ended', end_cause: 'server stopped' });
  await again.stop();
});
