/** Who follows jobs without reading, on a clock of the test. */
import { once } from 'node:events';
import http from 'node:http';
import fastify from 'fastify';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { jobEventRoutes } from '../../../../../src/http/doors/plimsoll/jobs/job-events.js';
import { NO_KEYS } from '../../built-server.js';

const MOST_STREAMS = 100;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function server(): Promise<number> {
  const app = fastify();
  const show = async (id: string) => ({ id, state: 'running', ended_at: null });
  jobEventRoutes(app, { jobs: { show }, keyCheck: NO_KEYS } as never);
  onTestFinished(() => app.close());
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
}

async function follow(port: number): Promise<http.IncomingMessage> {
  const request = http.get({ port, host: '127.0.0.1', path: '/v1/jobs/j/events', agent: false });
  onTestFinished(() => void request.destroy());
  const [reply] = (await once(request, 'response')) as [http.IncomingMessage];
  return reply.on('error', () => undefined);
}

test('the one that has followed longest gives way once all places are taken', async () => {
  const port = await server();
  const first = await follow(port);
  const others = await Promise.all(Array.from({ length: MOST_STREAMS - 1 }, () => follow(port)));
  const refused = await follow(port);
  expect(String(await once(refused, 'data'))).toContain('100 jobs are watched already');
  vi.advanceTimersByTime(10_000);
  const ended = once(first.resume(), 'end');
  expect((await follow(port)).statusCode).toBe(200);
  await ended;
  expect(others.filter((reply) => reply.destroyed)).toEqual([]);
});

test('a job that does not change is said to be looked at', async () => {
  const reply = await follow(await server());
  let text = '';
  reply.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await vi.waitUntil(() => text.includes('running'));
  for (let look = 0; look < 15; look += 1) await vi.advanceTimersByTimeAsync(1000);
  await vi.waitUntil(() => text.includes(': the job is looked at'));
  expect(text.match(/event: job/g)).toHaveLength(1);
});
