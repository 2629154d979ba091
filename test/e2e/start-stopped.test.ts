/** Signals while the server starts. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { childrenOf, isRunning, temporaryFolder, until } from './harness.js';
import { exitOf, launch } from './processes.js';

const GRACE_MS = 20_000;
const GIVEN_UP = 'the start is given up';

async function starting(settings: Readonly<Record<string, string | number>>) {
  const args = Object.entries({ 'shutdown.grace_ms': GRACE_MS, 'log.format': 'json', ...settings });
  const child = launch([
    ...['serve', '--port', '0', '--data', await temporaryFolder()],
    ...args.flatMap(([name, value]) => ['--set', `${name}=${value}`]),
  ]);
  let log = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const exit = exitOf(child);
  onTestFinished(() => void child.kill('SIGKILL'));
  const { pid } = child;
  if (pid === undefined) throw new Error('it has not started');
  return { child, pid, exit, log: () => log };
}

/** A worker that is ready is told of within this time. */
const READY_MS = 1000;

/** A server whose worker stands still before it is ready; one that was faster than the test is started anew. */
async function hanging(
  tries = 10,
): Promise<Awaited<ReturnType<typeof starting>> & { worker: number }> {
  const server = await starting({ 'worker.count': 1 });
  const [worker] = await until('there is a worker', () => {
    const children = childrenOf(server.pid);
    return children.length > 0 ? children : undefined;
  });
  if (worker === undefined) throw new Error('no worker');
  process.kill(worker, 'SIGSTOP');
  onTestFinished(() => {
    if (isRunning(worker)) process.kill(worker, 'SIGKILL');
  });
  await new Promise((resolve) => setTimeout(resolve, READY_MS));
  if (server.log().includes('listens on') && tries > 1) {
    server.child.kill('SIGKILL');
    return hanging(tries - 1);
  }
  return { ...server, worker };
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s ends a start that waits for a database that does not answer',
  async (signal) => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const asked = once(silent, 'connection');
    const url = `postgres://nobody:nothing@127.0.0.1:${port}/nowhere`;
    const server = await starting({ 'database.url': url });
    await asked;
    const signalledMs = performance.now();
    server.child.kill(signal);
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - signalledMs).toBeLessThan(GRACE_MS);
    expect(server.log()).toContain(GIVEN_UP);
    expect(server.log()).not.toContain('listens on');
  },
);

test('SIGTERM ends a start that hangs, within the grace time, and its workers', async () => {
  const server = await hanging();
  const signalledMs = performance.now();
  server.child.kill('SIGTERM');
  expect(await server.exit).toMatchObject({ signal: null });
  expect(performance.now() - signalledMs).toBeLessThan(GRACE_MS + 2000);
  expect(server.log()).toContain(GIVEN_UP);
  await until('the worker has ended', () => !isRunning(server.worker));
});

test('a second signal ends it at once', async () => {
  const server = await hanging();
  server.child.kill('SIGTERM');
  await until('it is being stopped', () => server.log().includes(GIVEN_UP));
  server.child.kill('SIGINT');
  expect(await once(server.child, 'exit')).toEqual([130, null]);
  // It stands still, and hears of it when it goes on.
  process.kill(server.worker, 'SIGCONT');
  await until('the worker has ended', () => !isRunning(server.worker));
});
