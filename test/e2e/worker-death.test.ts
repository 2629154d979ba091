import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  classify,
  endSession,
  get,
  isRunning,
  openSession,
  request,
  type Server,
  startServer,
  until,
  workerPids,
} from './harness.js';
import { type Expected, Load, undisturbed } from './load.js';
import { textNumber } from './texts.js';

/** A process id to send a signal to: -1 would be every process of the machine. */
function firstOf(pids: readonly number[]): number {
  const [first] = pids;
  if (first === undefined) throw new Error('no worker runs');
  return first;
}

const WORKERS = 2;
let server: Server;
let expected: readonly Expected[];

/** Ends workers as the kernel's out-of-memory killer would. */
function killAll(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

/** Every worker is there again, and none of them is one that was killed. */
function replaced(killed: readonly number[]): Promise<readonly number[]> {
  return until('the workers have been replaced', async () => {
    const pids = await workerPids(server);
    const fresh = pids.length === WORKERS && pids.every((pid) => !killed.includes(pid));
    return fresh ? pids : undefined;
  });
}

beforeAll(async () => {
  // Without a cache every request needs a worker.
  const settings = { 'worker.count': WORKERS, 'cache.max_size': '0' };
  server = await startServer({ settings });
  expected = await undisturbed(server, 24);
});

describe('kill -9 of a worker', () => {
  test('during load costs no request and no right answer', async () => {
    const load = new Load(server, expected, { users: 8 });
    for (let round = 0; round < 6; round += 1) {
      const answered = load.answered + 8;
      await until('the load runs', () => load.answered >= answered || load.wrong.length > 0);
      const victim = firstOf(await workerPids(server));
      process.kill(victim, 'SIGKILL');
      await until('it is gone', () => !isRunning(victim));
      await replaced([victim]);
    }
    await load.finish();
    expect(load.wrong).toEqual([]);
    expect(load.answered).toBeGreaterThan(48);
    const restarts = /^plimsoll_worker_restarts_total (\d+)$/m.exec(await get(server, '/metrics'));
    expect(Number(restarts?.[1])).toBeGreaterThanOrEqual(6);
  });

  test('while it is idle goes unnoticed', async () => {
    const victim = firstOf(await workerPids(server));
    process.kill(victim, 'SIGKILL');
    const { results } = await classify(server, expected[0]?.text ?? '');
    expect(results[0]?.[0]?.label).toBe(expected[0]?.label);
    const pids = await replaced([victim]);
    expect(pids.every(isRunning)).toBe(true);
    expect(await get(server, '/health/ready')).toEqual({ status: 'ready' });
  });
});

describe('a worker that does not react (kill -STOP)', () => {
  /** Longer than the limit of a message, and than two readings. */
  const LIMIT_MS = 20_000;
  const inTime = async <T>(work: Promise<T>): Promise<T> => {
    const begunMs = performance.now();
    const outcome = await work;
    expect(performance.now() - begunMs).toBeLessThan(LIMIT_MS);
    return outcome;
  };
  const stopOne = async (): Promise<number> => {
    const victim = firstOf(await workerPids(server));
    process.kill(victim, 'SIGSTOP');
    return victim;
  };

  test('while it is idle is replaced though nobody asks for it, and that is told', async () => {
    const victim = await stopOne();
    await replaced([victim]);
    expect(isRunning(victim)).toBe(false);
    await until('its end is told, with the reason', () =>
      server.logs.some(({ msg, reason }) => /ended/.test(msg) && /react/.test(`${reason}`)),
    );
    // The reading of memory that waited for it may still be late.
    await vi.waitFor(
      async () => expect(await get(server, '/health/ready')).toEqual({ status: 'ready' }),
      { timeout: 20_000, interval: 100 },
    );
  });

  test.each([
    ['memory', () => get(server, '/v1/memory')],
    ['a recycle', () => request(server, 'POST', '/v1/memory/recycle')],
    ['a cleanup', () => request(server, 'POST', '/v1/memory/cleanup')],
    [
      'the end of a session',
      async () => {
        const { id } = await openSession(server);
        await classify(server, textNumber(2), { session: id });
        await endSession(server, id);
      },
    ],
  ])('does not hold up %s', async (_, ask) => {
    const victim = await stopOne();
    await inTime(ask());
    await replaced([victim]);
  });

  test('costs no request under load', async () => {
    const load = new Load(server, expected, { users: 8 });
    await until('the load runs', () => load.answered >= 16 || load.wrong.length > 0);
    const victim = await stopOne();
    await replaced([victim]);
    const answered = load.answered + 16;
    await until('it goes on', () => load.answered >= answered || load.wrong.length > 0);
    await load.finish();
    expect(load.wrong).toEqual([]);
  });
});

describe('all workers killed at once', () => {
  test('while they are idle: the next request waits for a new one', async () => {
    const pids = await workerPids(server);
    killAll(pids);
    const { results } = await classify(server, expected[1]?.text ?? '');
    expect(results[0]?.[0]?.label).toBe(expected[1]?.label);
    await replaced(pids);
  });

  test('during load: what they ran is run again', async () => {
    const load = new Load(server, expected, { users: 8 });
    await until('the load runs', () => load.answered >= 16 || load.wrong.length > 0);
    const pids = await workerPids(server);
    killAll(pids);
    await replaced(pids);
    const answered = load.answered + 16;
    await until('it goes on', () => load.answered >= answered || load.wrong.length > 0);
    await load.finish();
    expect(load.wrong).toEqual([]);
  });

  test('in the middle of one large request: every input is answered, in its place', async () => {
    // Spaces at the end make each an input of its own, so that there is something to be in the middle of.
    const texts = Array.from(
      { length: 400 },
      (_, index) => `${expected[index % 24]?.text ?? ''}${' '.repeat(index)}`,
    );
    const running = classify(server, texts);
    await until('its batches run', async () =>
      /^plimsoll_inputs_waiting [1-9]/m.test(await get<string>(server, '/metrics')),
    );
    killAll(await workerPids(server));
    const { results } = await running;
    expect(results.map((result) => result[0]?.label)).toEqual(
      texts.map((_, index) => expected[index % 24]?.label),
    );
  });

  test('the server has never ended', async () => {
    expect(isRunning(server.pid)).toBe(true);
    expect((await classify(server, textNumber(1))).results).toHaveLength(1);
  });
});
