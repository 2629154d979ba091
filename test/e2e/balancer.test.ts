import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sessions } from '../../src/contract/sessions.js';
import { freePort } from '../servers/free-port.js';
import { haproxy } from '../servers/tools.js';
import { get, request, type Server, startServer, until } from './harness.js';
import { textNumber } from './texts.js';

const CONFIGURATION = fileURLToPath(new URL('../../deploy/compose/haproxy.cfg', import.meta.url));
/** The balancer looks every second and gives a server up after two looks. */
const DRAIN_MS = 3500;
const USERS = 4;

let balancer: ChildProcess | undefined;
let doors: readonly number[];
let url: string;

beforeAll(async () => {
  if (haproxy === undefined) return;
  doors = [await freePort(), await freePort()];
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const environment = {
    LISTEN: `127.0.0.1:${port}`,
    DOOR_1: `127.0.0.1:${doors[0]}`,
    DOOR_2: `127.0.0.1:${doors[1]}`,
  };
  balancer = spawn(haproxy, ['-f', CONFIGURATION], { env: environment, stdio: 'ignore' });
});

afterAll(async () => {
  if (balancer === undefined || balancer.exitCode !== null) return;
  balancer.kill('SIGTERM');
  await once(balancer, 'exit');
});

function startDoor(port: number): Promise<Server> {
  return startServer({
    port,
    settings: { 'shutdown.drain_ms': DRAIN_MS, 'shutdown.grace_ms': 60_000 },
  });
}

/** Requests that name no session have an ambient one. */
async function isAsked(server: Server): Promise<boolean> {
  return (await get<Sessions>(server, '/v1/sessions')).sessions.length > 0;
}

test.skipIf(haproxy === undefined)(
  'behind the balancer of deploy/compose every server is replaced, and no request fails',
  async () => {
    const servers = await Promise.all(doors.map(startDoor));
    await until('the balancer has found them', async () => {
      return (await request({ url }, 'GET', '/health/ready')).status === 200;
    });
    const failures: string[] = [];
    let [answers, isOver] = [0, false];
    const user = async (name: number) => {
      while (!isOver) {
        answers += 1;
        const body = { inputs: textNumber(answers, 20), user: `user-${name}` };
        await request({ url }, 'POST', '/v1/classify', { body }).then(
          ({ status, text }) => status !== 200 && failures.push(`${status} ${text}`),
          (error: unknown) => failures.push(String(error)),
        );
      }
    };
    const users = Promise.all(Array.from({ length: USERS }, (_, name) => user(name)));
    for (const [at, server] of servers.entries()) {
      await until('both are asked', () => isAsked(server));
      expect(await server.stop()).toEqual({ code: 0, signal: null });
      const replacement = await startDoor(doors[at] ?? 0);
      await until('the new one is asked', () => isAsked(replacement));
    }
    isOver = true;
    await users;
    expect(failures).toEqual([]);
    expect(answers).toBeGreaterThan(50);
    // Each server has metrics of its own, which the balancer shows nobody.
    expect((await request({ url }, 'GET', '/metrics')).status).toBe(404);
    expect((await request({ url }, 'GET', '/balancer')).status).toBe(200);
  },
);
