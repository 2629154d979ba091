import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import {
  childrenOf,
  classify,
  endSession,
  get,
  openSession,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../fixtures/network/${name}.mjs`, import.meta.url));

/** How a network of one's own can be had here: as root, else as the root of a user namespace. */
const UNSHARE = [['--net'], ['--user', '--map-root-user', '--net']].find(
  (flags) => spawnSync('unshare', [...flags, 'true']).status === 0,
);

/** Runs a fixture in a network of its own; it gets no variable that would silence ONNX Runtime, as `CI` does. */
function inOwnNetwork(name: string, args: readonly string[] = []) {
  const child: ChildProcess = spawn(
    'unshare',
    [...(UNSHARE ?? []), process.execPath, fixture(name), ...args],
    {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: process.env.TMPDIR },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  // The end of its input ends it, and its server: a signal would leave that one behind.
  onTestFinished(() => void child.stdin?.end());
  const lines: string[] = [];
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  }
  return { child, lines };
}

/**
 * The kernel counts every packet for which it finds no route, in a network where only the loopback interface is one: no attempt is
 * too short to be seen, whoever of our processes makes it, by name or by address. It does not see what a process would do later than
 * the time that ONNX Runtime takes by default to report its use, nor what a build without the network would do.
 */
test.skipIf(UNSHARE === undefined)(
  'no process of ours opens a connection that nobody configured (needs network namespaces)',
  async () => {
    const data = await temporaryFolder();
    const settings = ['--port', '0', '--data', data, '--set', 'log.format=json'];
    const server = inOwnNetwork('server', settings);
    await until('the server is used', () => server.lines.includes('used'), 90_000);
    // The server's worker loaded its model before this one does: what it would report, it has reported when this one has.
    const control = inOwnNetwork('control');
    const attempted = () => control.lines.includes('attempted');
    await until('ONNX Runtime reports by default, and the counters see it', attempted, 90_000);
    server.child.stdin?.end();
    const counted = await until('it has counted', () => server.lines[1], 30_000);
    expect(JSON.parse(counted)).toEqual({ withoutRoute: 0, datagrams: 0, connects: 0, proxied: 0 });
  },
);

/** Every process below `pid`, and itself. */
function family(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(family)];
}

/** Remote ends of the sockets that a process holds; hexadecimal address and port, as the kernel writes them (proc(5)). */
function remoteEnds(pid: number): readonly string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    const links = readdirSync(folder).map((fd) => {
      try {
        return readlinkSync(path.join(folder, fd));
      } catch {
        return '';
      }
    });
    return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
      readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , , , , , , , inode]) => links.includes(`socket:[${inode}]`))
        .map(([, local = '', remote = '']) => `${table} ${local} ${remote}`),
    );
  } catch {
    // It has ended.
    return [];
  }
}

/** This one sees only sockets that live as long as it takes to look around, but it looks at a server in the usual network. */
test('the sockets of our processes are the server’s own', async () => {
  const server = await startServer();
  const port = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, '0');
  const ours = new RegExp(`^tcp 0100007F:${port} [0-9A-F]{8}:[0-9A-F]{4}$`);
  const seen = new Set<string>();
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      for (const pid of family(server.pid)) for (const end of remoteEnds(pid)) seen.add(end);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const { id: session } = await openSession(server);
  await classify(server, ['one text', 'another'], { session, user: 'ann' });
  await endSession(server, session);
  await get(server, '/v1/models');
  isOver = true;
  await looking;
  expect([...seen].some((end) => ours.test(end))).toBe(true);
  expect([...seen].filter((end) => !ours.test(end))).toEqual([]);
  await server.stop();
});
