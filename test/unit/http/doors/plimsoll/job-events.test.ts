import fastify from 'fastify';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PlimsollError } from '../../../../../src/errors.js';
import { jobEventRoutes } from '../../../../../src/http/doors/plimsoll/jobs/job-events.js';
import { NO_KEYS } from '../../built-server.js';

const job = (changes: object) => ({ id: 'j', state: 'running', ended_at: null, ...changes });
const done = job({ state: 'done', ended_at: '2026-01-01T00:00:00.000Z' });

/** The real route on the loopback interface; what the queue says of the job at each look is the test's. */
async function stream(looks: (() => object)[]): Promise<{ readonly text: () => Promise<string> }> {
  const show = vi.fn(async () => (looks.length > 1 ? looks.shift() : looks[0])?.());
  const app = fastify();
  jobEventRoutes(app, { jobs: { show }, keyCheck: NO_KEYS } as never);
  onTestFinished(() => app.close());
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const reply = await fetch(`${address}/v1/jobs/j/events`);
  expect(reply.status).toBe(200);
  return { text: () => reply.text() };
}

const states = (text: string) => [...text.matchAll(/"state":"(\w+)"/g)].map(([, state]) => state);
const gone = () => {
  throw new PlimsollError('JOBS_UNAVAILABLE', 'the queue does not answer');
};

test('while the queue does not answer the stream waits, and goes on when it is back', async () => {
  const { text } = await stream([
    () => job({}),
    gone,
    () => job({ state: 'finishing' }),
    () => done,
  ]);
  expect(states(await text())).toEqual(['running', 'finishing', 'done']);
});

test('a job that is forgotten meanwhile ends the stream', async () => {
  const forgotten = () => {
    throw new PlimsollError('JOB_NOT_FOUND', 'there is no job "j"');
  };
  const { text } = await stream([() => job({}), forgotten]);
  expect(states(await text())).toEqual(['running']);
});

test('of a job that has ended already there is one event', async () => {
  const { text } = await stream([() => done]);
  expect(states(await text())).toEqual(['done']);
});
