import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type PoolOptions, WorkerPool } from '../../../../src/inference/workers/pool.js';
import type { Worker } from '../../../../src/inference/workers/worker.js';
import { collectGarbage } from '../../../../src/system/own-process.js';
import { fixture, handle, isAlive, newGate, temporaryFolder, until } from './workers.js';

const LONG_MS = 60_000;
const BACKOFF_MS = 100;

interface Told {
  readonly pool: WorkerPool;
  readonly deaths: Worker[];
  /** Waits before replacements, as they were logged. */
  readonly waits: unknown[];
  changes: number;
}

function newPool(name: string, changes: Partial<PoolOptions> = {}): Told {
  const deaths: Worker[] = [];
  const waits: unknown[] = [];
  const told: Told = {
    deaths,
    waits,
    changes: 0,
    pool: new WorkerPool({
      count: 2,
      module: fixture(name),
      startTimeoutMs: LONG_MS,
      restartBackoffMs: BACKOFF_MS,
      graceMs: LONG_MS,
      onChange: () => {
        told.changes += 1;
      },
      onDeath: (worker) => deaths.push(worker),
      log: (_line, facts) => waits.push(facts.waitMs),
      ...changes,
    }),
  };
  onTestFinished(async () => {
    for (const worker of told.pool.workers) worker.kill();
    await told.pool.stop();
  });
  return told;
}

async function started(name: string, changes: Partial<PoolOptions> = {}): Promise<Told> {
  const told = newPool(name, changes);
  await told.pool.start();
  return told;
}

function onlyWorker(pool: WorkerPool): Worker {
  const [worker, ...others] = pool.workers;
  if (worker === undefined || others.length > 0) throw new Error('there is not one worker');
  return worker;
}

/** Timers stand still from here; processes and their messages go on. */
function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

describe('starting', () => {
  test('all workers are ready, each with its own name, and it is told', async () => {
    const told = await started('echo', { count: 3 });
    expect(told.pool.workers.map(({ id }) => id)).toEqual(['worker-1', 'worker-2', 'worker-3']);
    expect(told.pool.workers.every(({ state }) => state === 'ready')).toBe(true);
    expect(told.changes).toBe(3);
    expect(told.pool.find('worker-2')?.id).toBe('worker-2');
    expect(told.pool.find('worker-9')).toBeUndefined();
  });

  test('fails when none can be started', async () => {
    const { pool } = newPool('exits-at-start');
    await expect(pool.start()).rejects.toThrow(/no worker could be started: .*exit code 3/);
  });

  test('fails when none is ready in time', async () => {
    const { pool } = newPool('never-ready', { startTimeoutMs: 150, count: 1 });
    await expect(pool.start()).rejects.toThrow('no worker could be started');
  });
});

describe('a worker that dies', () => {
  test('is replaced under another name', async () => {
    const { pool, deaths, waits } = await started('echo', { restartBackoffMs: 1 });
    const [victim] = pool.workers;
    victim?.kill();
    await until(
      () =>
        pool.workers.filter(({ state }) => state === 'ready').length === 2 &&
        pool.find('worker-3') !== undefined,
    );
    expect(deaths).toEqual([victim]);
    expect(waits).toEqual([1]);
    expect(pool.workers.map(({ id }) => id)).toEqual(['worker-2', 'worker-3']);
  });

  test('early is replaced later each time, up to 100 times the first wait', async () => {
    stopTimers();
    const { pool, waits } = newPool('exits-at-start', { count: 1 });
    await expect(pool.start()).rejects.toThrow();
    for (let deaths = 1; deaths < 9; deaths += 1) {
      const wait = Number(waits.at(-1));
      vi.advanceTimersByTime(wait - 1);
      expect(pool.workers).toHaveLength(0);
      vi.advanceTimersByTime(1);
      await expect(onlyWorker(pool).started()).rejects.toThrow();
      expect(waits).toHaveLength(deaths + 1);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 100, 100].map((factor) => factor * BACKOFF_MS));
  });

  test('after it has worked is replaced at once, and the wait begins small again', async () => {
    stopTimers();
    const { pool, waits } = await started('echo', { count: 1 });
    const die = async (): Promise<void> => {
      const worker = onlyWorker(pool);
      worker.kill();
      await worker.exited();
      vi.advanceTimersByTime(Number(waits.at(-1)));
      await onlyWorker(pool).started();
    };
    await die();
    await die();
    await onlyWorker(pool).run(handle('m'), ['1'], { timeoutMs: LONG_MS });
    await die();
    await die();
    expect(waits).toEqual([BACKOFF_MS, 2 * BACKOFF_MS, 0, BACKOFF_MS]);
  });
});

describe('an idle worker that does not answer', () => {
  test('is found and replaced though nobody asks it for anything', async () => {
    const reasons: string[] = [];
    const { pool } = await started('echo', {
      replyTimeoutMs: 100,
      restartBackoffMs: 1,
      onDeath: (_worker, reason) => reasons.push(reason),
    });
    const [victim] = pool.workers;
    if (victim?.pid !== undefined) process.kill(victim.pid, 'SIGSTOP');
    await until(() => pool.find('worker-3')?.state === 'ready');
    expect(pool.workers.map(({ id }) => id)).toEqual(['worker-2', 'worker-3']);
    expect(isAlive(victim?.pid)).toBe(false);
    expect(reasons).toEqual([expect.stringMatching(/^did not react: "ping" for \d+ ms$/)]);
  });
});

describe('replacing', () => {
  test('leaves no gap: the new one is ready before the old one leaves, and its batch is finished', async () => {
    const { pool, deaths } = await started('echo', { count: 1 });
    const old = onlyWorker(pool);
    const gate = newGate();
    const running = old.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
    await gate.reached();
    const replacing = pool.replace(old, 'start first');
    await until(() => old.state === 'leaving');
    expect(pool.workers.filter(({ idle }) => idle)).toHaveLength(1);
    gate.open();
    expect((await running).rows).toHaveLength(1);
    const fresh = await replacing;
    expect(pool.workers).toEqual([fresh]);
    expect(isAlive(old.pid)).toBe(false);
    expect(deaths).toEqual([]);
  });

  test('warms the new one up before it counts as ready and before the old one leaves', async () => {
    const { pool } = await started('echo', { count: 1 });
    const old = onlyWorker(pool);
    const seen: unknown[] = [];
    const fresh = await pool.replace(old, 'start first', async (worker) => {
      seen.push(worker.state, old.state);
      await worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS });
    });
    expect(seen).toEqual(['starting', 'ready']);
    expect([fresh.state, fresh.loaded.has('m')]).toEqual(['ready', true]);
  });

  test('keeps nothing of the workers that left, though each warmed up the next', async () => {
    const { pool } = await started('echo', { count: 1 });
    const left: WeakRef<Worker>[] = [];
    for (let times = 0; times < 4; times += 1) {
      // In a function of its own, so that nothing here holds the old one.
      await (async () => {
        const old = onlyWorker(pool);
        left.push(new WeakRef(old));
        await pool.replace(old, 'start first', async () => void old.state);
      })();
    }
    // The last one's farewell may still be under way; those before it are held by nobody.
    await vi.waitFor(() => {
      collectGarbage();
      expect(left.slice(0, -1).filter((of) => of.deref() !== undefined)).toEqual([]);
    }, 10_000);
  });

  test('takes a new one that could not be warmed up all the same', async () => {
    const { pool } = await started('echo', { count: 1 });
    const failing = () => Promise.reject(new Error('no room'));
    expect((await pool.replace(onlyWorker(pool), 'start first', failing)).state).toBe('ready');
  });

  test('keeps the old one when the new one does not start', async () => {
    const gate = path.join(temporaryFolder(), 'gate');
    vi.stubEnv('PLIMSOLL_FIXTURE_GATE', gate);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { pool } = await started('starts-once', { count: 1, restartBackoffMs: 1 });
    const old = onlyWorker(pool);
    writeFileSync(gate, '');
    await expect(pool.replace(old, 'start first')).rejects.toThrow('exit code 5');
    expect(pool.workers).toEqual([old]);
    expect(old.idle).toBe(true);
    rmSync(gate);
    expect((await pool.replace(old, 'start first')).idle).toBe(true);
  });

  test('kills an old one that hangs once the grace time is over', async () => {
    const { pool } = await started('echo', { count: 1, graceMs: 50 });
    const old = onlyWorker(pool);
    const running = old.run(handle('m'), ['hang'], { timeoutMs: LONG_MS });
    running.catch(() => undefined);
    await pool.replace(old, 'start first');
    await expect(running).rejects.toThrow('ended');
    expect(pool.workers).toHaveLength(1);
  });

  test('an old one that dies while its replacement starts is not replaced twice', async () => {
    stopTimers();
    const { pool, waits } = await started('echo', { count: 1 });
    const old = onlyWorker(pool);
    const replacing = pool.replace(old, 'start first');
    old.kill();
    await old.exited();
    vi.advanceTimersByTime(Number(waits.at(-1)));
    const fresh = await replacing;
    expect(pool.workers).toEqual([fresh]);
  });

  test.each(['start first', 'leave first'] as const)(
    'keeps the number of workers when another one dies meanwhile: %s',
    async (order) => {
      stopTimers();
      const { pool, waits } = await started('echo', { count: 2 });
      const [old, other] = pool.workers;
      if (old === undefined || other === undefined) throw new Error('there are not two workers');
      const gate = newGate();
      const running = old.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
      await gate.reached();
      other.kill();
      await other.exited();
      const replacing = pool.replace(old, order);
      await until(() => old.state === 'leaving');
      // The wait before a restart is over while the old one still finishes its batch.
      vi.advanceTimersByTime(Number(waits.at(-1)));
      gate.open();
      await running;
      await replacing;
      expect(pool.workers).toHaveLength(2);
      await until(() => pool.workers.filter(({ state }) => state === 'ready').length === 2);
    },
  );

  test('is refused once the pool is stopping: nobody would end the new one', async () => {
    const { pool } = await started('echo', { count: 1 });
    const old = onlyWorker(pool);
    const stopping = pool.stop();
    await expect(pool.replace(old, 'start first')).rejects.toThrow();
    await stopping;
    expect(pool.workers).toEqual([]);
  });
});

describe('stopping', () => {
  test('lets batches finish, ends every process, and may be called twice', async () => {
    const { pool, deaths } = await started('echo');
    const pids = pool.workers.map(({ pid }) => pid);
    const gate = newGate();
    const running = pool.workers[0]?.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
    await gate.reached();
    const stopping = pool.stop();
    expect(pool.stop()).toBe(stopping);
    gate.open();
    expect((await running)?.rows).toHaveLength(1);
    await stopping;
    expect(pool.workers).toEqual([]);
    expect(pids.some(isAlive)).toBe(false);
    expect(deaths).toEqual([]);
  });

  test('kills what does not end in time', async () => {
    const { pool } = await started('stays', { graceMs: 50 });
    const pids = pool.workers.map(({ pid }) => pid);
    await pool.stop();
    expect(pids.some(isAlive)).toBe(false);
  });

  test('cancels replacements that have not begun', async () => {
    stopTimers();
    const { pool } = newPool('exits-at-start');
    await expect(pool.start()).rejects.toThrow();
    expect(vi.getTimerCount()).toBe(2);
    await pool.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
