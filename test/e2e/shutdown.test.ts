import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Receipts } from '../../src/contract/receipts.js';
import type { NotReady } from '../../src/contract/service.js';
import type { Sessions, SessionView } from '../../src/contract/sessions.js';
import {
  argumentsOf,
  childrenOf,
  classify,
  get,
  isRunning,
  openSession,
  request,
  run,
  type Server,
  startServer,
  temporaryFolder,
  until,
  workerPids,
} from './harness.js';
import { expectError, receiptShape } from './shapes.js';
import { textNumber } from './texts.js';

let data: string;
const start = (settings: Readonly<Record<string, string | number>> = {}) =>
  startServer({ data, settings });

const isPreparer = (pid: number) =>
  argumentsOf(pid).some((argument) => argument.endsWith('preparer-main.js'));

/** Whether anyone still takes connections at the server's address. */
function refusesConnections({ url }: Server): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

beforeAll(async () => {
  const first = await startServer();
  data = first.data;
  await classify(first, 'the first text prepares the model');
  expect(await first.stop()).toEqual({ code: 0, signal: null });
});

describe('SIGTERM', () => {
  test('finishes what runs, refuses what comes, leaves nobody behind, exits 0', async () => {
    const server = await start({ 'shutdown.grace_ms': 60_000 });
    const workers = await workerPids(server);
    expect(workers.length).toBeGreaterThan(0);
    const running = Array.from({ length: 8 }, (_, user) => {
      const texts = Array.from({ length: 12 }, (_, index) => textNumber(user * 12 + index, 40));
      return classify(server, texts, { user: `user-${user}` });
    });
    await until('all of them have been accepted', async () => {
      const { sessions } = await get<Sessions>(server, '/v1/sessions');
      return sessions[0]?.requests === 8;
    });
    const stopped = server.stop();
    await until('it takes no more connections', () => refusesConnections(server));
    const answers = await Promise.all(running);
    for (const { results } of answers) expect(results).toHaveLength(12);
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(workers.filter(isRunning)).toEqual([]);
    expect(server.logs.at(-1)?.msg).toBe('stopped');
  });

  test('on an open connection the next request is told so, in the usual form', async () => {
    const server = await start({ 'shutdown.grace_ms': 60_000 });
    const { hostname, port } = new URL(server.url);
    const socket = net.connect(Number(port), hostname);
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    const inputs = Array.from({ length: 64 }, (_, index) => textNumber(index, 60));
    const body = JSON.stringify({ inputs });
    const head = (line: string, length: number) =>
      `${line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    socket.write(head('POST /v1/classify', Buffer.byteLength(body)) + body);
    await until('the first request runs', async () =>
      /^plimsoll_inputs_waiting [1-9]/m.test(await get<string>(server, '/metrics')),
    );
    const stopped = server.stop();
    await until('it stops', () => refusesConnections(server));
    socket.write(head('GET /v1/memory', 0));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(await stopped).toEqual({ code: 0, signal: null });
    const [first, second] = received.split(/(?=HTTP\/1\.1 )/);
    expect(first).toMatch(/^HTTP\/1\.1 200 /);
    // Node may also close the connection right behind the answer that ran.
    if (second === undefined) return;
    const status = Number(second.slice(9, 12));
    const text = second.slice(second.indexOf('\r\n\r\n') + 4);
    expectError({ status, headers: {}, text, body: JSON.parse(text) }, 'SHUTTING_DOWN');
  });

  test('ends open sessions with receipts that the next start still knows', async () => {
    const server = await start();
    const { id: opened } = await openSession(server);
    await classify(server, 'hello', { session: opened, user: 'ann' });
    const { session: ambient } = await classify(server, 'hello');
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const next = await start();
    for (const id of [opened, ambient]) {
      const session = await get<SessionView>(next, `/v1/sessions/${id}`);
      expect(session).toMatchObject({ id, state: 'ended', end_cause: 'server stopped', users: 1 });
      expect(session.cleanup).toStrictEqual({ ...receiptShape, session: id });
      const { receipts } = await get<Receipts>(next, `/v1/receipts?session=${id}`);
      expect(receipts).toStrictEqual([session.cleanup]);
      const again = await request(next, 'POST', `/v1/sessions/${id}/end`);
      expect(again.body).toStrictEqual(session);
      const late = { inputs: 'a', session: id };
      expectError(await request(next, 'POST', '/v1/classify', { body: late }), 'SESSION_ENDED');
    }
    await next.stop();
  });

  test('with a drain time: it is not ready first, and who comes meanwhile is served', async () => {
    const server = await startServer({ settings: { 'shutdown.drain_ms': 1500 } });
    await classify(server, 'hello');
    process.kill(server.pid, 'SIGTERM');
    const address = '/health/ready';
    await until('it is not ready', async () => {
      const reply = await request<NotReady>(server, 'GET', address);
      return reply.status === 503 && reply.body.reason === 'the server is stopping';
    });
    const reply = await request(server, 'POST', '/v1/classify', {
      body: { inputs: 'a new connection' },
      headers: { connection: 'keep-alive' },
    });
    expect(reply.status).toBe(200);
    expect(reply.headers.connection).toBe('close');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  test('and SIGINT and SIGHUP alike; twice is no more than once', async () => {
    for (const signals of [['SIGINT'], ['SIGHUP'], ['SIGTERM', 'SIGTERM', 'SIGINT']] as const) {
      const server = await start();
      for (const signal of signals) process.kill(server.pid, signal);
      expect(await server.exited).toEqual({ code: 0, signal: null });
      expect(server.logs.some(({ msg }) => msg === 'stopped')).toBe(true);
    }
  });

  test('while the model is being prepared: ends at once and leaves no process', async () => {
    const server = await startServer({ isUnprepared: true });
    const preparing = await until('a preparer runs', () => {
      const children = childrenOf(server.pid);
      return children.some(isPreparer) ? children : undefined;
    });
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await until('they are gone', () => !preparing.some(isRunning));
  });

  test('a request that outlasts the grace time does not hold the server', async () => {
    const server = await start({ 'shutdown.grace_ms': 100 });
    const workers = await workerPids(server);
    const inputs = Array.from({ length: 1000 }, (_, index) => textNumber(index, 400));
    const running = request(server, 'POST', '/v1/classify', { body: { inputs } }).catch(
      (error: unknown) => error,
    );
    await until('it runs', async () =>
      /^plimsoll_inputs_waiting [1-9]/m.test(await get<string>(server, '/metrics')),
    );
    expect(await server.stop()).toEqual({ code: 1, signal: null });
    await running;
    await until('its workers are gone', () => !workers.some(isRunning));
  });
});

test('clients that stop within a request and close nothing are answered, free their places, and do not hold the server', async () => {
  const server = await start({ 'http.max_connections': 4 });
  const { hostname, port } = new URL(server.url);
  const head =
    'POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const received = ['', '', '', ''];
  const sockets = received.map((_, n) => {
    const where = { port: Number(port), host: hostname, allowHalfOpen: true };
    const socket = net.connect(where, () => {
      socket.write(n % 2 === 0 ? `${head}Content-Length: 100\r\n\r\n{` : `${head}X-`);
    });
    socket.on('error', () => undefined).setEncoding('utf8');
    return socket.on('data', (text: string) => {
      received[n] += text;
    });
  });
  const isAnswered = () => received.every((text) => text.includes(' 408 '));
  await until('each is told that it took too long', isAnswered, 45_000);
  await until('there is a place again', async () => {
    const reply = await request(server, 'GET', '/v1/models', {
      headers: { connection: 'keep-alive' },
    });
    return reply.status === 200 && reply.headers.connection === 'keep-alive';
  });
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  for (const socket of sockets) socket.destroy();
}, 90_000);

test('a client that has sent half a head and closes nothing does not hold the server', async () => {
  const server = await start();
  const { hostname, port } = new URL(server.url);
  const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.write('POST /v1/classify HTTP/1.1\r\nHost: local', () => resolve());
  });
  // Another connection is answered once what came before has been read.
  await get(server, '/v1/models');
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  socket.destroy();
});

describe('SIGKILL of the main process', () => {
  test('its workers end by themselves, also those that run a batch', async () => {
    const server = await start();
    const workers = await workerPids(server);
    const inputs = Array.from({ length: 64 }, (_, index) => textNumber(index, 60));
    const running = request(server, 'POST', '/v1/classify', { body: { inputs } }).catch(
      (error: unknown) => error,
    );
    await until('a batch runs', async () =>
      /^plimsoll_inputs_waiting [1-9]/m.test(await get<string>(server, '/metrics')),
    );
    expect(await server.kill()).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await running).toBeInstanceOf(Error);
    await until('the workers are gone', () => !workers.some(isRunning));
    const next = await start();
    expect((await classify(next, 'hello')).results).toHaveLength(1);
    await next.stop();
  });

  /** A stopped process runs nothing: neither an event loop nor native code can see that the parent has gone. */
  const stopIt = (pid: number) => process.kill(pid, 'SIGSTOP');

  test('its workers end whatever they are doing', async () => {
    const server = await start();
    const workers = await workerPids(server);
    for (const pid of workers) stopIt(pid);
    await server.kill();
    await until('the workers are gone', () => !workers.some(isRunning));
  });

  test('a process that prepares a model ends whatever it is doing', async () => {
    const server = await startServer({ isUnprepared: true });
    const mapped = path.join(server.data, 'mapped');
    // It writes only after it has asked the kernel for the signal.
    const preparer = await until('a preparer writes', () => {
      const found = childrenOf(server.pid).find(isPreparer);
      if (found === undefined || !existsSync(mapped)) return undefined;
      const written = readdirSync(mapped, { recursive: true, encoding: 'utf8' });
      if (!written.some((name) => /(stage|model\.onnx)$/.test(name))) return undefined;
      stopIt(found);
      return found;
    });
    await server.kill();
    await until('it is gone', () => !isRunning(preparer));
  });
});

describe('a start that cannot work says why in one line', () => {
  const fails = async (args: readonly string[], code: number, named: RegExp) => {
    const folder = await temporaryFolder();
    const own = args.includes('--data') ? [] : ['--data', path.join(folder, 'data')];
    const { code: exit, stderr } = await run(['serve', ...own, ...args]);
    expect(exit, stderr).toBe(code);
    expect(stderr).toMatch(named);
    expect(stderr).toMatch(/^plimsoll: /m);
    expect(stderr).not.toMatch(/^\s+at .+:\d+/m);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
  };

  test('the port is in use', async () => {
    const server = await start();
    const { port } = new URL(server.url);
    await fails(['--port', port], 1, new RegExp(`in use.*${port}`));
    expect(await get(server, '/health/live')).toEqual({ status: 'live' });
    await server.stop();
  });

  test('the data folder cannot be made, or its database is none', async () => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'file');
    await writeFile(file, 'a file, not a folder');
    await fails(['--port', '0', '--data', path.join(file, 'data')], 1, /file\/data/);
    await writeFile(path.join(folder, 'plimsoll.db'), 'this is not a database'.repeat(100));
    await fails(['--port', '0', '--data', folder], 1, /plimsoll\.db/);
  });

  test('the models folder is missing', async () => {
    await fails(['--port', '0', '--models', '/nowhere/models'], 1, /\/nowhere\/models/);
  });

  test('a setting is wrong or unknown', async () => {
    await fails(['--port', '99999'], 2, /http\.port.*65535/);
    await fails(['--set', 'session.max_users=none'], 2, /session\.max_users/);
    await fails(['--set', 'session.users=5'], 2, /session\.users: .*nearest is session\.max_users/);
    await fails(['--set', 'nonsense'], 2, /key=value/);
    await fails(['--port', '0', '--host', '203.0.113.7'], 1, /203\.0\.113\.7/);
  });
});
