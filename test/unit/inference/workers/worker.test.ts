import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Worker } from '../../../../src/inference/workers/worker.js';
import { WorkerGoneError } from '../../../../src/inference/workers/worker-gone.js';
import { fixture, handle, isAlive, newGate, temporaryFolder } from './workers.js';

const LONG_MS = 60_000;

interface Started {
  readonly worker: Worker;
  /** Reasons of its ends: never more than one. */
  readonly ends: string[];
}

function start(name: string, startTimeoutMs = LONG_MS, replyTimeoutMs = LONG_MS): Started {
  const ends: string[] = [];
  const worker = new Worker({
    id: 'worker-1',
    module: fixture(name),
    startTimeoutMs,
    replyTimeoutMs,
    onExit: (_worker, reason) => ends.push(reason),
  });
  onTestFinished(() => worker.kill());
  return { worker, ends };
}

async function startReady(name: string, ...limits: readonly number[]): Promise<Started> {
  const started = start(name, ...limits);
  await started.worker.started();
  return started;
}

describe('starting', () => {
  test('it is ready when it says so, with the memory that it then had', async () => {
    const { worker } = start('echo');
    expect(worker.state).toBe('starting');
    expect(worker.idle).toBe(false);
    expect(worker.baseline).toBeUndefined();
    await worker.started();
    expect(worker.state).toBe('ready');
    expect(worker.idle).toBe(true);
    expect(worker.baseline?.privateBytes).toBe(1000);
  });

  test('it is gone when the process ends before that', async () => {
    const { worker, ends } = start('exits-at-start');
    await expect(worker.started()).rejects.toThrow('worker-1 ended (exit code 3)');
    expect(worker.state).toBe('gone');
    expect(ends).toEqual(['exit code 3']);
  });

  test('it is killed when it never says so', async () => {
    const { worker, ends } = start('never-ready', 200);
    await expect(worker.started()).rejects.toThrow(WorkerGoneError);
    expect(ends).toEqual(['SIGKILL']);
    expect(isAlive(worker.pid)).toBe(false);
  });
});

describe('shifting', () => {
  test('the model is hot, and cold again once it was unloaded', async () => {
    const shifted: string[] = [];
    const worker = new Worker({
      ...{ id: 'worker-1', module: fixture('echo'), startTimeoutMs: LONG_MS },
      onExit: () => undefined,
      onShift: (_worker, model) => shifted.push(model),
    });
    onTestFinished(() => worker.kill());
    await worker.started();
    await worker.load(handle('m'));
    expect(worker.loaded.get('m')?.gear).toBe('cold');
    expect(worker.hotCount).toBe(0);
    await worker.shift('m', LONG_MS);
    expect(worker.loaded.get('m')?.gear).toBe('hot');
    expect(worker.hotCount).toBe(1);
    expect(shifted).toEqual(['m']);
    await worker.unload('m');
    await worker.load(handle('m'));
    expect(worker.loaded.get('m')?.gear).toBe('cold');
  });

  test('a model can be opened in the hot gear at once; it is not there if that fails', async () => {
    const shifted: string[] = [];
    const worker = new Worker({
      ...{ id: 'worker-1', module: fixture('echo'), startTimeoutMs: LONG_MS },
      onExit: () => undefined,
      onShift: (_worker, model) => shifted.push(model),
    });
    onTestFinished(() => worker.kill());
    await worker.started();
    await worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS, gear: 'hot' });
    expect(worker.loaded.get('m')?.gear).toBe('hot');
    expect(shifted).toEqual(['m']);
    await expect(
      worker.run(handle('never hot'), ['1'], { timeoutMs: LONG_MS, gear: 'hot' }),
    ).rejects.toThrow();
    expect(worker.loaded.has('never hot')).toBe(false);
    expect(shifted).toEqual(['m']);
    await worker.run(handle('never hot'), ['1'], { timeoutMs: LONG_MS });
    expect(worker.loaded.get('never hot')?.gear).toBe('cold');
  });

  test('it gets no batches meanwhile', async () => {
    const { worker } = await startReady('echo');
    const gate = newGate();
    await worker.load(handle(gate.input));
    const shift = worker.shift(gate.input, LONG_MS);
    await gate.reached();
    expect(worker.idle).toBe(false);
    gate.open();
    await shift;
    expect(worker.idle).toBe(true);
  });

  test('what was loaded anew meanwhile is cold', async () => {
    const { worker } = await startReady('echo');
    const gate = newGate();
    await worker.load(handle(gate.input));
    const shift = worker.shift(gate.input, LONG_MS);
    await gate.reached();
    const unload = worker.unload(gate.input);
    const load = worker.load(handle(gate.input));
    gate.open();
    await Promise.all([shift, unload, load]);
    expect(worker.loaded.get(gate.input)?.gear).toBe('cold');
  });

  test('that fails leaves it cold, and counts its batches anew', async () => {
    const { worker } = await startReady('echo');
    await worker.run(handle('never hot'), ['1'], { timeoutMs: LONG_MS });
    expect(worker.loaded.get('never hot')?.batches).toBe(1);
    await expect(worker.shift('never hot', LONG_MS)).rejects.toThrow('cannot shift');
    expect(worker.loaded.get('never hot')).toMatchObject({ gear: 'cold', batches: 0 });
    expect(worker.idle).toBe(true);
    await worker.run(handle('never hot'), ['1'], { timeoutMs: LONG_MS });
  });
});

describe('running', () => {
  test('loads a model once, runs batches in order, and keeps the books', async () => {
    const { worker } = await startReady('echo');
    const first = await worker.run(handle('m'), ['3 x', '1 truncated'], { timeoutMs: LONG_MS });
    expect(first.loadMs).toBe(1);
    expect(first.rows.map((row) => row?.scores[0])).toEqual([3, 1]);
    expect(first.rows.map((row) => row?.truncated)).toEqual([false, true]);
    const second = await worker.run(handle('m'), ['2'], { timeoutMs: LONG_MS });
    expect(second.loadMs).toBeUndefined();
    expect(worker.completedBatches).toBe(2);
    expect([...worker.loaded.keys()]).toEqual(['m']);
  });

  test('is busy from the call to the answer', async () => {
    const { worker } = await startReady('echo');
    const gate = newGate();
    const running = worker.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
    expect(worker.running).toBe('m');
    expect(worker.idle).toBe(false);
    let isOver = false;
    const end = worker.drained().then(() => {
      isOver = true;
    });
    await gate.reached();
    expect(isOver).toBe(false);
    gate.open();
    await running;
    await end;
    expect(worker.running).toBeUndefined();
    expect(worker.idle).toBe(true);
    await worker.drained();
  });

  test('takes a second batch behind a short one, and no third; both take their own time', async () => {
    const { worker } = await startReady('echo');
    const [first, second] = [newGate(), newGate()];
    const short = { timeoutMs: LONG_MS, expectedMs: 1 };
    const one = worker.run(handle('m'), [first.input], short);
    expect(worker.capacity).toBe('prefetch');
    const two = worker.run(handle('m'), [second.input], short);
    expect(worker.capacity).toBe('none');
    await first.reached();
    await new Promise((resolve) => setTimeout(resolve, 50));
    let isOver = false;
    const end = worker.drained().then(() => {
      isOver = true;
    });
    first.open();
    const tookMs = [(await one).tookMs];
    expect(isOver).toBe(false);
    // The second is short too, but was not answered as soon as that.
    await second.reached();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(worker.capacity).toBe('none');
    second.open();
    tookMs.push((await two).tookMs);
    await end;
    expect(tookMs[0]).toBeGreaterThanOrEqual(50);
    expect(tookMs[1]).toBeGreaterThanOrEqual(20);
    // Both were given at once: that the second waited for the first is not its own time.
    expect(worker.capacity).toBe('now');
  });

  test('takes none behind one that is long, or of which nobody knows', async () => {
    const { worker } = await startReady('echo');
    for (const expectedMs of [50, Number.POSITIVE_INFINITY]) {
      const gate = newGate();
      const run = worker.run(handle('m'), [gate.input], { timeoutMs: LONG_MS, expectedMs });
      expect(worker.capacity).toBe('none');
      gate.open();
      await run;
    }
  });

  test('opens a model anew when its files have changed, and after it was unloaded', async () => {
    const { worker } = await startReady('echo');
    expect(await worker.load(handle('m'))).toBe(1);
    expect(await worker.load(handle('m'))).toBeUndefined();
    expect(await worker.load(handle('m', { digest: 'digest-2' }))).toBe(2);
    expect((await worker.unload('m')).freedBytes).toBe(42);
    expect(worker.loaded.size).toBe(0);
    expect(await worker.load(handle('m', { digest: 'digest-2' }))).toBe(3);
  });

  test('a batch that is asked for while its model is unloaded opens it again, in order', async () => {
    const { worker } = await startReady('echo');
    await worker.load(handle('m'));
    const unloading = worker.unload('m');
    const running = worker.run(handle('m'), ['5'], { timeoutMs: LONG_MS });
    await unloading;
    const result = await running;
    expect(result.rows[0]?.scores[0]).toBe(5);
    expect(result.loadMs).toBe(2);
    expect(worker.loaded.has('m')).toBe(true);
  });

  test('a model that cannot be opened is not in the books, and the worker lives on', async () => {
    const { worker } = await startReady('echo');
    const broken = handle('b', { graphFile: 'broken' });
    const run = worker.run(broken, ['1'], { timeoutMs: LONG_MS });
    await expect(run).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    expect(worker.loaded.size).toBe(0);
    expect(worker.idle).toBe(true);
    expect((await worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS })).rows).toHaveLength(1);
  });

  test('a load that fails late does not strike a newer one from the books', async () => {
    const { worker } = await startReady('echo');
    const failing = worker.load(handle('m', { graphFile: 'broken', digest: 'old' }));
    const unloading = worker.unload('m');
    const mended = worker.load(handle('m', { digest: 'new' }));
    await expect(failing).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await unloading;
    await mended;
    expect(worker.loaded.get('m')?.digest).toBe('new');
  });

  test('collects garbage and reads its memory, from outside while it is busy', async () => {
    const { worker } = await startReady('echo');
    expect((await worker.collect()).freedBytes).toBe(42);
    expect((await worker.readMemory())?.source).toBe('runtime');
    const gate = newGate();
    const running = worker.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
    const read = await worker.readMemory();
    expect(read?.source).not.toBe('runtime');
    expect(read?.rssBytes).toBeGreaterThan(1_000_000);
    gate.open();
    await running;
  });
});

describe('ending', () => {
  test('a crash fails what it worked on and what it was asked besides, once', async () => {
    const { worker, ends } = await startReady('echo');
    const gate = newGate();
    const run = worker.run(handle('m'), [gate.input, 'crash'], { timeoutMs: LONG_MS });
    await gate.reached();
    const besides = worker.collect();
    gate.open();
    besides.catch(() => undefined);
    await expect(run).rejects.toThrow('worker-1 ended (SIGKILL)');
    await expect(besides).rejects.toThrow(WorkerGoneError);
    expect(worker.state).toBe('gone');
    expect(worker.running).toBeUndefined();
    expect(worker.loaded.size).toBe(0);
    expect(worker.left).toBe(false);
    expect(ends).toEqual(['SIGKILL']);
    await worker.exited();
  });

  test('a crash is not laid to the batch that was still to come', async () => {
    const { worker } = await startReady('echo');
    const options = { timeoutMs: LONG_MS, expectedMs: 1 };
    const one = worker.run(handle('m'), ['crash'], options);
    const two = worker.run(handle('m'), ['1'], options);
    await expect(one).rejects.toMatchObject({ name: 'WorkerGoneError', stage: 'running' });
    await expect(two).rejects.toMatchObject({ name: 'WorkerGoneError', stage: 'not begun' });
    await worker.drained();
  });

  test('what is asked of it afterwards fails at once', async () => {
    const { worker } = await startReady('dies-when-ready');
    await expect(worker.collect()).rejects.toThrow('exit code 7');
    await expect(worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS })).rejects.toThrow(
      'worker-1 is gone',
    );
    expect(await worker.readMemory()).toBeUndefined();
    expect(worker.idle).toBe(false);
    await worker.stop(10);
  });

  test('a batch that is not answered in time costs the worker its life', async () => {
    const { worker, ends } = await startReady('echo');
    const run = worker.run(handle('m'), ['hang'], { timeoutMs: 100 });
    await expect(run).rejects.toMatchObject({ name: 'WorkerGoneError', ending: 'stalled' });
    expect(ends).toEqual([expect.stringMatching(/^did not react: "run" for \d+ ms$/)]);
    expect(isAlive(worker.pid)).toBe(false);
  });

  test('a batch that uses up its CPU time does too, long before the hard limit', async () => {
    const { worker, ends } = await startReady('echo');
    const run = worker.run(handle('m'), ['burn'], { timeoutMs: LONG_MS, budgetMs: 200 });
    await expect(run).rejects.toMatchObject({ name: 'WorkerGoneError', ending: 'overran' });
    expect(ends).toEqual([expect.stringMatching(/^took too long: "run" for \d+ ms$/)]);
  });

  test('one whose process is stopped does too, and is told from one that works', async () => {
    const { worker } = await startReady('echo', LONG_MS, 300);
    const run = worker.run(handle('m'), ['stop'], { timeoutMs: LONG_MS, budgetMs: LONG_MS });
    await expect(run).rejects.toMatchObject({ name: 'WorkerGoneError', ending: 'stalled' });
    expect(isAlive(worker.pid)).toBe(false);
  });

  test('the time of a batch begins when the one before it is answered', async () => {
    const { worker, ends } = await startReady('echo');
    const gate = newGate();
    const options = { timeoutMs: LONG_MS, budgetMs: LONG_MS };
    const first = worker.run(handle('m'), [gate.input], options);
    await gate.reached();
    const second = worker.run(handle('m'), ['1'], { timeoutMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 120));
    gate.open();
    await first;
    expect((await second).rows).toHaveLength(1);
    expect(ends).toEqual([]);
  });

  test.each([
    ['collecting garbage', (worker: Worker) => worker.collect()],
    ['an unload', (worker: Worker) => worker.unload('m')],
  ])('%s that is not answered does too', async (_, ask) => {
    const { worker, ends } = await startReady('mute', LONG_MS, 100);
    await expect(ask(worker)).rejects.toMatchObject({ ending: 'stalled' });
    expect(ends).toHaveLength(1);
  });

  test('a reading never waits for it: its file is read from here', async () => {
    const { worker } = await startReady('mute', LONG_MS, LONG_MS);
    const read = await worker.readMemory();
    expect(read?.source).toBe('smaps_rollup');
    expect(worker.state).toBe('ready');
  });

  test('an idle one that is stopped is found when it is checked', async () => {
    const { worker, ends } = await startReady('echo', LONG_MS, 100);
    worker.checkAlive();
    expect(ends).toEqual([]);
    if (worker.pid !== undefined) process.kill(worker.pid, 'SIGSTOP');
    // It was heard of a moment ago, so it is not asked at once.
    const timer = setInterval(() => worker.checkAlive(), 5);
    onTestFinished(() => clearInterval(timer));
    await worker.exited();
    expect(ends).toEqual([expect.stringMatching(/^did not react: "ping"/)]);
  });

  test('one that only closes its pipe is ended', async () => {
    const { worker, ends } = await startReady('disconnects');
    await worker.exited();
    expect(ends).toEqual(['SIGKILL']);
  });

  test('a batch that is answered in time leaves no timer behind', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { worker, ends } = await startReady('echo');
    await worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS });
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(2 * LONG_MS);
    await worker.collect();
    expect(ends).toEqual([]);
  });

  test('stop lets an idle worker end by itself; twice is as good as once', async () => {
    const { worker, ends } = await startReady('echo');
    await Promise.all([worker.stop(LONG_MS), worker.stop(LONG_MS)]);
    await worker.stop(LONG_MS);
    expect(ends).toEqual(['exit code 0']);
    expect(worker.left).toBe(true);
    expect(worker.state).toBe('gone');
  });

  test('stop kills one that does not, after the grace time', async () => {
    const { worker, ends } = await startReady('stays');
    await worker.stop(50);
    expect(ends).toEqual(['SIGKILL']);
    expect(isAlive(worker.pid)).toBe(false);
  });

  test('one that is to leave takes no new work but finishes its batch', async () => {
    const { worker } = await startReady('echo');
    const gate = newGate();
    const running = worker.run(handle('m'), [gate.input], { timeoutMs: LONG_MS });
    worker.leave();
    expect(worker.state).toBe('leaving');
    gate.open();
    expect((await running).rows).toHaveLength(1);
    expect(worker.idle).toBe(false);
    await worker.stop(LONG_MS);
  });
});

test('its environment keeps the allocator from keeping what was freed', async () => {
  const file = path.join(temporaryFolder(), 'prints-environment.mjs');
  writeFileSync(
    file,
    `process.send({type: 'ready', memory: {env: process.env.MALLOC_ARENA_MAX, gc: typeof gc}});
     process.on('message', () => undefined);`,
  );
  const worker = new Worker({
    id: 'w',
    module: file,
    startTimeoutMs: LONG_MS,
    onExit: () => undefined,
  });
  onTestFinished(() => worker.kill());
  await worker.started();
  expect(worker.baseline).toEqual({ env: '2', gc: 'function' });
});
