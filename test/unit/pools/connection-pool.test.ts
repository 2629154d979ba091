import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConnectionPool } from '../../../src/pools/connection-pool.js';
import type { Connector, PoolLimits } from '../../../src/pools/pool.js';

const LIMITS: PoolLimits = {
  min: 0,
  max: 3,
  waitMs: 30_000,
  idleMs: 10_000,
  lifetimeMs: 100_000,
  checkAfterIdleMs: 5000,
};

/** A server that answers each byte with the same byte. */
async function echoServer(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function echo(socket: Socket): Promise<boolean> {
  socket.write('x');
  const [answer] = await once(socket, 'data');
  return String(answer) === 'x';
}

/** Real sockets on loopback. */
function sockets(port: number, open: Set<Socket> = new Set()): Connector<Socket> {
  return {
    open: async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.on('error', () => socket.destroy());
      open.add(socket);
      return socket;
    },
    close: async (socket) => {
      open.delete(socket);
      socket.destroy();
    },
    check: echo,
    isUsable: (socket) => !socket.destroyed && socket.writable,
  };
}

async function poolOf(limits: Partial<PoolLimits> = {}) {
  const { port } = await echoServer();
  const open = new Set<Socket>();
  const clock = { nowMs: 0 };
  const pool = new ConnectionPool(
    'echo',
    { ...LIMITS, ...limits },
    sockets(port, open),
    () => clock.nowMs,
  );
  onTestFinished(() => pool.close());
  return { pool, open, clock };
}

describe('a pool of real sockets', () => {
  test('hands a connection to one user at a time, and opens no more than its maximum', async () => {
    const { pool, open } = await poolOf({ max: 3 });
    const inUse = new Set<Socket>();
    let most = 0;
    await Promise.all(
      Array.from({ length: 200 }, () =>
        pool.use(async (socket) => {
          expect(inUse.has(socket)).toBe(false);
          inUse.add(socket);
          most = Math.max(most, inUse.size);
          expect(await echo(socket)).toBe(true);
          inUse.delete(socket);
        }),
      ),
    );
    expect(most).toBe(3);
    expect(open.size).toBe(3);
    expect(pool.figures).toMatchObject({ open: 3, idle: 3, inUse: 0, waiting: 0, checkouts: 200 });
  });

  test('gives a connection back when the work throws', async () => {
    const { pool } = await poolOf({ max: 1 });
    const failing = pool.use(async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await pool.use(echo)).toBe(true);
  });

  test('a wait that is too long is a coded error, and the next one still gets its turn', async () => {
    // The first one has to connect within it, on a busy machine too.
    const { pool } = await poolOf({ max: 1, waitMs: 500 });
    const held = await pool.acquire();
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    held.release();
    held.release();
    expect(pool.figures).toMatchObject({ timeouts: 1, waiting: 0, idle: 1 });
    expect(await pool.use(echo)).toBe(true);
  });

  test('a connection that breaks in use or while idle is never handed out again', async () => {
    const { pool } = await poolOf({ max: 1 });
    const first = await pool.use(async (socket) => socket.destroy());
    const second = await pool.use(async (socket) => socket);
    expect(second).not.toBe(first);
    second.destroy();
    expect(await pool.use(async (socket) => socket)).not.toBe(second);
    expect(pool.figures).toMatchObject({ opened: 3, broken: 2, open: 1 });
  });

  test('every idle one is checked, once, where that is asked for', async () => {
    const { port } = await echoServer();
    let checks = 0;
    const connector = {
      ...sockets(port),
      check: async () => {
        checks += 1;
        return true;
      },
    };
    const limits = { ...LIMITS, checkAfterIdleMs: 0, waitMs: 5000 };
    const pool = new ConnectionPool('echo', limits, connector);
    onTestFinished(() => pool.close());
    for (let use = 0; use < 3; use += 1) expect(await pool.use(echo)).toBe(true);
    expect(checks).toBe(2);
    expect(pool.figures).toMatchObject({ opened: 1, broken: 0, checkouts: 3 });
  });

  test('one that was idle for long is checked, and discarded when it does not pass', async () => {
    const { port } = await echoServer();
    let [nowMs, checks] = [0, 0];
    const connector = { ...sockets(port), check: async () => ++checks === 1 };
    const pool = new ConnectionPool('echo', LIMITS, connector, () => nowMs);
    onTestFinished(() => pool.close());
    const first = await pool.use(async (socket) => socket);
    nowMs += LIMITS.checkAfterIdleMs;
    expect(await pool.use(async (socket) => socket)).toBe(first);
    nowMs += LIMITS.checkAfterIdleMs;
    expect(await pool.use(async (socket) => socket)).not.toBe(first);
    expect(checks).toBe(2);
    expect(pool.figures.broken).toBe(1);
  });

  test('an old connection is replaced, never while it is in use', async () => {
    const { pool, clock } = await poolOf();
    const held = await pool.acquire();
    clock.nowMs += LIMITS.lifetimeMs;
    pool.sweep();
    expect(pool.figures).toMatchObject({ open: 1, recycled: 0 });
    expect(await echo(held.connection)).toBe(true);
    held.release();
    expect(pool.figures).toMatchObject({ open: 0, recycled: 1 });
    expect(held.connection.destroyed).toBe(false);
    await pool.use(echo);
    clock.nowMs += LIMITS.lifetimeMs;
    pool.sweep();
    expect(pool.figures).toMatchObject({ open: 0, recycled: 2 });
  });

  test('idle ones above the minimum close by themselves and on a shrink', async () => {
    const { pool, clock, open } = await poolOf({ min: 1 });
    const threeAtOnce = async () => {
      const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
      for (const { release } of leases) release();
    };
    await threeAtOnce();
    clock.nowMs += LIMITS.idleMs;
    pool.sweep();
    expect(pool.figures.open).toBe(1);
    await threeAtOnce();
    expect(await pool.shrink()).toBe(2);
    expect(open.size).toBe(1);
    expect(await pool.shrink()).toBe(0);
  });

  test('those in use at a shrink close when they are given back, but not while somebody waits', async () => {
    const { pool, open } = await poolOf({ min: 1, max: 3 });
    const [one, two, three] = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    expect(await pool.shrink()).toBe(0);
    const waiting = pool.acquire();
    one.release();
    const fourth = await waiting;
    expect(pool.figures.open).toBe(3);
    two.release();
    expect(pool.figures).toMatchObject({ open: 2, inUse: 2 });
    three.release();
    fourth.release();
    expect(pool.figures).toMatchObject({ open: 2, idle: 2 });
    expect(await pool.shrink()).toBe(1);
    expect(open.size).toBe(1);
  });

  test('a server that is gone is told to everyone who waits', async () => {
    const { server, port } = await echoServer();
    server.close();
    await once(server, 'close');
    const pool = new ConnectionPool('echo', LIMITS, sockets(port));
    onTestFinished(() => pool.close());
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5].map(() => pool.acquire()));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ECONNREFUSED' } });
    }
    expect(pool.figures).toMatchObject({ open: 0, waiting: 0 });
  });

  test('closing refuses who waits, waits for who works, and leaves nothing open', async () => {
    const { pool, open } = await poolOf({ max: 1 });
    const held = await pool.acquire();
    const waiting = expect(pool.acquire()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    let closed = false;
    const closing = pool.close().then(() => {
      closed = true;
    });
    await waiting;
    expect(await echo(held.connection)).toBe(true);
    expect(closed).toBe(false);
    held.release();
    await closing;
    expect(open.size).toBe(0);
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});

describe('the accounting of a pool', () => {
  type Step = 'take' | 'give' | 'break' | 'age' | 'idle' | 'shrink';
  const steps = fc.array(
    fc.constantFrom<Step>('take', 'take', 'give', 'give', 'break', 'age', 'idle', 'shrink'),
    { maxLength: 60 },
  );

  test('holds after every step, whatever happens', { timeout: 30_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const open = new Set<{ broken: boolean }>();
        let nowMs = 0;
        const connector: Connector<{ broken: boolean }> = {
          open: async () => {
            const connection = { broken: false };
            open.add(connection);
            return connection;
          },
          close: async (connection) => {
            expect(open.delete(connection)).toBe(true);
          },
          check: async ({ broken }) => !broken,
          isUsable: ({ broken }) => !broken,
        };
        const pool = new ConnectionPool('facts', LIMITS, connector, () => nowMs);
        const held: Awaited<ReturnType<typeof pool.acquire>>[] = [];
        for (const step of list) {
          if (step === 'take' && held.length < LIMITS.max) {
            const lease = await pool.acquire();
            expect(lease.connection.broken).toBe(false);
            expect(held.map(({ connection }) => connection)).not.toContain(lease.connection);
            held.push(lease);
          }
          if (step === 'break' && held[0]) held[0].connection.broken = true;
          if (step === 'give') held.shift()?.release();
          if (step === 'age') nowMs += LIMITS.lifetimeMs;
          if (step === 'idle') nowMs += LIMITS.checkAfterIdleMs;
          if (step === 'age' || step === 'idle') pool.sweep();
          if (step === 'shrink') await pool.shrink();
          const { figures } = pool;
          expect(figures.inUse).toBe(held.length);
          expect(figures.open).toBe(figures.idle + figures.inUse);
          expect(figures.open).toBeLessThanOrEqual(LIMITS.max);
        }
        for (const lease of held) lease.release();
        await pool.close();
        expect(open.size).toBe(0);
        expect(pool.figures.open).toBe(0);
      }),
    );
  });

  test('replaces all its connections at once, those in use when they are released', async () => {
    const { pool, open } = await poolOf();
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()]);
    first.release();
    pool.replaceAll();
    expect(pool.figures).toMatchObject({ open: 1, idle: 0, inUse: 1, broken: 1 });
    expect(await echo(second.connection)).toBe(true);
    second.release();
    expect(pool.figures).toMatchObject({ open: 0, broken: 2 });
    const third = await pool.acquire();
    expect([first.connection, second.connection]).not.toContain(third.connection);
    expect([...open]).toEqual([third.connection]);
    third.release();
    expect(pool.figures).toMatchObject({ open: 1, idle: 1, broken: 2 });
  });
});
