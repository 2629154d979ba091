import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorBody } from '../../src/contract/errors.js';
import { classify, get, request, type Server, startServer, until } from './harness.js';
import { heldOutMails } from './texts.js';

/** Each as long as the model takes, so that a flood of them lasts for seconds. */
const mails = heldOutMails().map(({ text }) => text.repeat(20).slice(0, 5000));
let server: Server;

beforeAll(async () => {
  server = await startServer({
    settings: {
      'worker.count': 1,
      'cache.max_size': 0,
      'batch.max_items': 1,
      'queue.user_share': 1,
    },
  });
});
afterAll(() => server.stop());

/** Inputs that wait for a worker, as the metrics have it. */
async function waitingInputs(): Promise<number> {
  const text = await get<string>(server, '/metrics');
  return Number(/^plimsoll_inputs_waiting (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

/** Sends many inputs at once. @returns what hangs up in the middle */
function flood(user: string, count: number): () => void {
  const body = JSON.stringify({ inputs: mails.slice(0, count), user });
  const { hostname, port } = new URL(server.url);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const path = '/v1/classify';
  const call = http.request({ hostname, port, path, method: 'POST', headers, agent: false });
  call.on('error', () => undefined);
  call.end(body);
  return () => call.destroy();
}

describe('a user who floods', () => {
  test('may send more than its share at once, but no more until that is done', async () => {
    const hangUp = flood('flood', 600);
    await until('the flood waits', async () => (await waitingInputs()) > 0);
    // Texts of their own: who asks for one that is being computed already only waits for its answer.
    const others = mails.slice(0, 50).map((text) => `Again: ${text}`);
    const more = { body: { inputs: others, user: 'flood' } };
    const refused = await request<ErrorBody>(server, 'POST', '/v1/classify', more);
    expect(refused.status).toBe(429);
    expect(refused.body.error.code).toBe('TOO_MANY_REQUESTS');
    const seconds = Number(refused.headers['retry-after']);
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(seconds).toBeLessThanOrEqual(60);
    const other = await classify(server, `Once: ${mails[0]}`, { user: 'other' });
    expect(other.results).toHaveLength(1);
    // It was answered in its turn: the flood is not over.
    expect(await waitingInputs()).toBeGreaterThan(0);
    hangUp();
    await until('nothing waits', async () => (await waitingInputs()) === 0);
  });

  test('and hangs up leaves nothing behind: what had not begun never runs', async () => {
    const batches = async () =>
      Number(
        /^plimsoll_batches_total\{model="spam"\} (\d+)$/m.exec(
          await get<string>(server, '/metrics'),
        )?.[1] ?? 0,
      );
    const before = await batches();
    const hangUp = flood('leaver', 600);
    await until('the flood waits', async () => (await waitingInputs()) > 0);
    hangUp();
    await until('nothing waits', async () => (await waitingInputs()) === 0);
    expect((await classify(server, 'still here')).results).toHaveLength(1);
    expect((await batches()) - before).toBeLessThan(600);
  });
});
