import { once } from 'node:events';
import http from 'node:http';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { followed } from '../../../src/commands/bulk/follow-job.js';
import { remoteJobs } from '../../../src/commands/bulk/remote-jobs.js';

const LOOK_MS = 5;
let said: string[];
const { signal } = new AbortController();

beforeEach(() => {
  said = [];
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said.push(String(text));
    return true;
  });
  onTestFinished(() => spy.mockRestore());
});

/** A real listener. @param answer status and body of each request */
async function listen(answer: () => readonly [number, object], port = 0) {
  const server = http.createServer((_request, reply) => {
    const [status, body] = answer();
    reply.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    reply.end(JSON.stringify(body));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close').catch(() => undefined);
  };
  onTestFinished(() => void server.close());
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, close };
}

const ended = { id: 'j', state: 'done', ended_at: '2026-01-01T00:00:00.000Z' };

test('a server that goes away is looked for again, said once, and the job is seen to its end', async () => {
  const first = await listen(() => [503, { error: { message: 'the database does not answer' } }]);
  const server = `http://127.0.0.1:${first.port}`;
  const following = followed(remoteJobs(server, undefined), 'j', signal, LOOK_MS);
  await vi.waitUntil(() => said.join('').includes('answers 503: the database does not answer'));
  await first.close();
  await vi.waitUntil(() => said.join('').includes('does not answer: ECONNREFUSED'));
  await listen(() => [200, ended], first.port);
  expect(await following).toEqual(ended);
  expect(said.filter((line) => line.includes('ECONNREFUSED'))).toHaveLength(1);
});

test.each([
  [404, 'there is no job j'],
  [401, 'a key is needed'],
])('a server that answers %i is not asked for ever', async (status, message) => {
  const { port } = await listen(() => [status, { error: { message } }]);
  const jobs = remoteJobs(`http://127.0.0.1:${port}`, undefined);
  await expect(followed(jobs, 'j', signal, LOOK_MS)).rejects.toThrow(`${status}: ${message}`);
});

test('Ctrl-C ends it while nobody answers', async () => {
  const { port, close } = await listen(() => [200, ended]);
  await close();
  const stop = new AbortController();
  const jobs = remoteJobs(`http://127.0.0.1:${port}`, undefined);
  const following = followed(jobs, 'j', stop.signal, LOOK_MS);
  await vi.waitUntil(() => said.join('').includes('ECONNREFUSED'));
  stop.abort();
  expect(await following).toBeUndefined();
});
