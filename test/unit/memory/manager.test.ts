import { readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { HeldModel, WorkerFacts } from '../../../src/memory/effects.js';
import { PRESSURE_ACTIONS } from '../../../src/memory/policy.js';
import type { ProcessReading } from '../../../src/memory/snapshot.js';
import { GB, manage, managers } from './managers.js';

describe('a cleanup', () => {
  it('unloads what nobody needs, collects garbage, and keeps a receipt with both readings', async () => {
    const { manager, receipts } = manage();
    const receipt = await manager.cleanup({
      cause: 'session idle',
      session: 's_1',
      stillUsed: () => false,
    });
    expect(receipts).toEqual([receipt]);
    expect(receipt).toMatchObject({ kind: 'cleanup', cause: 'session idle', session: 's_1' });
    expect(receipt.actions.map(({ action, model, worker }) => [action, model ?? worker])).toEqual([
      ['unload_model', 'a'],
      ['unload_model', 'b'],
      ['collect_garbage', 'worker-1'],
      ['collect_garbage', 'main'],
    ]);
    for (const figures of [receipt.before, receipt.after]) {
      expect(figures.serverTotalBytes).toBeGreaterThan(figures.serverUsedBytes);
      expect(figures.privateBytes).toBeGreaterThan(1e6);
    }
  });

  it('leaves models that are wanted or used by another session', async () => {
    const { manager, effects } = manage({ wanted: ['a'] });
    const stillUsed = (model: string) => model === 'b';
    const receipt = await manager.cleanup({ cause: 'x', session: null, stillUsed });
    expect(effects.unload).not.toHaveBeenCalled();
    expect(receipt.actions.every(({ action }) => action === 'collect_garbage')).toBe(true);
  });
});

describe('readings', () => {
  /** Timers and the clock stand still; the kernel's files are read as ever. */
  const fakeTime = () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
  };

  it('go on while a receipt is being written', async () => {
    const { manager, effects } = manage({ lineBytes: 1000 });
    effects.unload.mockImplementation(() => new Promise(() => undefined));
    await manager.start();
    void manager.unload('a', 'asked for');
    await vi.waitFor(() => expect(effects.unload).toHaveBeenCalled());
    const { length } = manager.reader.ring.since(0);
    await vi.waitFor(() => expect(manager.reader.ring.since(0).length).toBeGreaterThan(length + 3));
    // It would wait for that one for ever.
    managers.splice(managers.indexOf(manager), 1);
  });

  it('that do not end are given up, and missed: the watch says so, and no other one hangs too', async () => {
    fakeTime();
    const hung = { on: false, count: 0, end: (_: readonly ProcessReading[]): void => undefined };
    const { manager, errors } = manage({
      models: [],
      readChildren: () => {
        if (!hung.on) return Promise.resolve([]);
        hung.count += 1;
        return new Promise((resolve) => {
          hung.end = resolve;
        });
      },
    });
    await manager.start();
    expect(manager.watch).toEqual({ state: 'fresh' });
    hung.on = true;
    for (const state of ['late', 'stopped']) {
      // No timer fires before the kernel's files have been read.
      while (manager.watch.state !== state) {
        await vi.advanceTimersByTimeAsync(1000);
        await new Promise((resolve) => setImmediate(resolve));
        expect(performance.now()).toBeLessThan(60_000);
      }
    }
    expect(errors[0]).toMatchObject({ message: 'reading memory did not end within 5000 ms' });
    // Each one that hangs keeps one of Node's four threads for files.
    expect(hung.count).toBe(1);
    hung.on = false;
    hung.end([]);
    // Slowly, as reading the kernel's files takes real time.
    while (manager.watch.state !== 'fresh') {
      await vi.advanceTimersByTimeAsync(50);
      await readdir('/proc/self');
    }
  });

  it('that fail do not keep a cleanup from its work: the last one stands in', async () => {
    const failing = { on: false };
    const { manager, effects } = manage({
      readChildren: () => (failing.on ? Promise.reject(new Error('no')) : Promise.resolve([])),
    });
    await manager.reader.read();
    failing.on = true;
    const receipt = await manager.cleanup({ cause: 'x', session: null, stillUsed: () => false });
    expect(effects.unload).toHaveBeenCalledTimes(2);
    expect(receipt.after.privateBytes).toBe(receipt.before.privateBytes);
  });
});

describe('a cleanup that somebody waits for', () => {
  it('stays under its bound behind work that hangs, and its receipt says what was left out', async () => {
    const { manager, effects, receipts } = manage({ models: ['a'] });
    await manager.reader.read();
    let end: () => void = () => undefined;
    effects.unload.mockImplementationOnce(async () => {
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      return [];
    });
    const nobody = { session: null, stillUsed: () => false, isAwaited: false };
    const first = manager.cleanup({ ...nobody, cause: 'other work' });
    await vi.waitUntil(() => effects.unload.mock.calls.length === 1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const options = { cause: 'session ended', session: 's_1', stillUsed: () => false };
    const awaited = manager.cleanup(options);
    await vi.advanceTimersByTimeAsync(5000);
    vi.useRealTimers();
    const receipt = await awaited;
    expect(receipt).toMatchObject({ session: 's_1', durationMs: 5000 });
    expect(receipt.actions.map(({ action }) => action)).toEqual([
      expect.stringMatching(/^left out: /),
    ]);
    end();
    await first;
    // The work itself is done in its turn.
    await vi.waitUntil(() => receipts.length === 3, { timeout: 10_000 });
    expect(receipts.map(({ session }) => session)).toEqual(['s_1', null, null]);
  });
});

describe('a recycle', () => {
  it('comes by itself at the 50th user, once, and starts counting anew', async () => {
    const { manager, effects, receipts } = manage({ afterUsers: 3 });
    for (let user = 1; user <= 2; user += 1) manager.countUser();
    expect(effects.replaceWorker).not.toHaveBeenCalled();
    expect(manager.usersSinceRecycle).toBe(2);
    manager.countUser();
    manager.countUser();
    await vi.waitFor(() => expect(receipts).toHaveLength(1));
    expect(receipts[0]).toMatchObject({ kind: 'recycle', cause: '3 users' });
    expect(effects.clearCaches).toHaveBeenCalledTimes(1);
    expect(effects.replaceWorker).toHaveBeenCalledTimes(1);
    expect(manager.usersSinceRecycle).toBe(1);
  });

  it('that falls due in a rush begins when that is over, with all who have come meanwhile', async () => {
    const { manager, effects, receipts, rush } = manage({ afterUsers: 3 });
    rush.on = true;
    for (let user = 1; user <= 5; user += 1) manager.countUser();
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(effects.replaceWorker).not.toHaveBeenCalled();
    rush.on = false;
    await vi.waitFor(() => expect(receipts).toHaveLength(1));
    expect(receipts[0]).toMatchObject({ kind: 'recycle', cause: '5 users' });
    expect(manager.usersSinceRecycle).toBe(0);
  });

  it('waits for no more than three seconds of a rush, and not at all for a server that stops', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
    try {
      const { manager, effects, rush } = manage({ afterUsers: 1 });
      rush.on = true;
      manager.countUser();
      await vi.advanceTimersByTimeAsync(2900);
      expect(effects.replaceWorker).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(200);
      await vi.waitFor(() => expect(effects.replaceWorker).toHaveBeenCalledTimes(1));
      const other = manage({ afterUsers: 1 });
      other.rush.on = true;
      other.manager.countUser();
      const stopped = other.manager.stop();
      await vi.advanceTimersByTimeAsync(5000);
      await stopped;
      expect(other.effects.replaceWorker).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  it('is shared by those who ask while it runs', async () => {
    const { manager, effects } = manage();
    const receipts = await Promise.all([manager.recycle('asked for'), manager.recycle('again')]);
    expect(receipts[0]).toBe(receipts[1]);
    expect(effects.replaceWorker).toHaveBeenCalledTimes(1);
  });

  it('lets old and new overlap only where the line has room', async () => {
    const roomy = manage();
    await roomy.manager.start();
    await roomy.manager.recycle('x');
    expect(roomy.effects.replaceWorker).toHaveBeenCalledWith('worker-1', 'start first', undefined);
    const full = manage({ lineBytes: 1000 });
    await full.manager.reader.read();
    await full.manager.recycle('x');
    expect(full.effects.replaceWorker).toHaveBeenCalledWith('worker-1', 'leave first', undefined);
  });

  it('of one worker is refused while one runs, and possible again afterwards', async () => {
    const { manager, effects, receipts } = manage();
    const first = manager.recycleWorker('worker-1');
    await expect(manager.recycleWorker('worker-1')).rejects.toThrow(/being replaced already/);
    expect(await first).toMatchObject({ kind: 'recycle', cause: 'worker-1, asked for' });
    await manager.recycleWorker('worker-1');
    expect(effects.replaceWorker).toHaveBeenCalledTimes(2);
    expect(receipts).toHaveLength(2);
  });

  it('gives a worker one successor only, whoever asks for it meanwhile', async () => {
    const { manager, effects, receipts } = manage();
    // The successor has another name, as in the real pool.
    const successor = { ...effects.workers()[0], id: 'worker-2' } as WorkerFacts;
    const replaced: string[] = [];
    effects.replaceWorker.mockImplementation(async (...[id]: unknown[]) => {
      replaced.push(String(id));
      // The recycle of everything has seen the same workers by now.
      await vi.waitFor(() => expect(effects.clearCaches).toHaveBeenCalled());
      vi.spyOn(effects, 'workers').mockReturnValue([successor]);
      return { freedBytes: 2000 };
    });
    await Promise.all([manager.recycleWorker('worker-1'), manager.recycle('asked for')]);
    expect(replaced.filter((id) => id === 'worker-1')).toEqual(['worker-1']);
    expect(receipts).toHaveLength(2);
  });

  it('replaces a single worker that is too old', async () => {
    const { manager, effects, receipts } = manage({ afterAgeMs: 5, models: [] });
    await manager.start();
    await vi.waitFor(() => expect(receipts.length).toBeGreaterThan(0));
    expect(receipts[0]).toMatchObject({ kind: 'recycle', cause: 'age' });
    expect(effects.replaceWorker).toHaveBeenCalled();
  });
});

describe('under pressure', () => {
  it('takes the actions in the written order, each with a receipt, short of the last resort', async () => {
    const { manager, effects, receipts, held, errors } = manage({ lineBytes: 1000 });
    await manager.start();
    const causes = () =>
      receipts.filter(({ kind }) => kind === 'pressure').map(({ cause }) => cause);
    await vi.waitFor(() => expect(causes().length).toBeGreaterThanOrEqual(6), 10_000);
    // The machine is far from flooded, so requests are not refused.
    const expected = PRESSURE_ACTIONS.filter((action) => action !== 'refuse_requests');
    expect(causes()).toEqual(expected.map((action) => `pressure critical: ${action}`));
    expect(receipts.find(({ cause }) => cause.endsWith('trim_cache'))?.actions).toMatchObject([
      { action: 'trim_cache', freedBytes: 10 },
      { action: 'clear_redis', freedBytes: 3000, entries: 7 },
    ]);
    expect(held).toEqual([
      ['smaller_batches', true],
      ['refuse_sessions', true],
    ]);
    expect(errors).toEqual([]);
    expect(effects.clearRedis).toHaveBeenCalledTimes(1);
    expect(effects.halveCaches).not.toHaveBeenCalled();
  });

  it('refuses nobody any more as soon as anybody has read that memory has fallen', async () => {
    const { manager, held, line } = manage({ lineBytes: 1000 });
    await manager.start();
    await vi.waitFor(() => expect(manager.holding).toContain('refuse_sessions'), 10_000);
    await manager.stop();
    line.bytes = 1024 * GB;
    await manager.reader.read();
    expect(manager.reader.level).toBe('normal');
    expect(held.slice(-2)).toEqual([
      ['smaller_batches', false],
      ['refuse_sessions', false],
    ]);
    expect(manager.holding.size).toBe(0);
  });

  it('does nothing while memory is normal', async () => {
    const { manager, receipts } = manage();
    await manager.start();
    await vi.waitFor(() => expect(manager.reader.ring.since(0).length).toBeGreaterThan(3));
    expect(receipts).toEqual([]);
  });
});

describe('room for a load', () => {
  it('is made by evicting the least valuable idle model, and as few as needed', async () => {
    const { manager, effects, receipts } = manage({ lineBytes: 20 * GB, models: ['a', 'b'] });
    await manager.reader.read();
    manager.ledger.arrived('b');
    manager.ledger.loaded('b', 100);
    const asked = manager.admission.ask({ model: 'c', privateBytes: 19.9 * GB, mappedBytes: 1 });
    if (asked.state !== 'wait') throw new Error('there was room already');
    await asked.changed;
    expect(receipts[0]).toMatchObject({ kind: 'eviction', cause: 'room for c' });
    expect(effects.unload.mock.calls.map(([model]) => model)).toEqual(['a', 'b']);
  });
});

describe('a shift', () => {
  const busy: HeldModel = { worker: 'worker-1', model: 'a', gear: 'cold', batches: 30 };

  it('comes once the cold runs have cost as much, while another worker answers, with a receipt', async () => {
    const { manager, effects, receipts } = manage({
      holding: [busy],
      workerCount: 2,
      wanted: ['a', 'b'],
    });
    manager.ledger.arrived('a');
    await manager.start();
    await vi.waitFor(() => expect(receipts.length).toBeGreaterThan(0));
    expect(effects.shift).toHaveBeenCalledWith('worker-1', 'a');
    expect(receipts[0]).toMatchObject({
      kind: 'shift',
      cause: 'a stays busy: 30 batches in worker-1',
    });
    expect(receipts[0]?.actions).toMatchObject([{ action: 'shift', model: 'a' }]);
  });

  it.each([
    ['fails', () => Promise.reject(new Error('no'))],
    ['finds nobody who answers meanwhile', () => Promise.resolve([])],
  ])('that %s is not tried again at once', async (_why, shift) => {
    const { manager, effects, errors, receipts } = manage({
      ...{ holding: [busy], workerCount: 2, wanted: ['a', 'b'] },
    });
    effects.shift.mockImplementation(shift);
    manager.ledger.arrived('a');
    await manager.start();
    await vi.waitFor(() => expect(errors.length + receipts.length).toBe(1));
    // Every reading comes after four looks for a shift: several of them have passed.
    const { atMs } = manager.reader.last ?? { atMs: 0 };
    await vi.waitFor(() => expect(manager.reader.last?.atMs).toBeGreaterThan(atMs + 60));
    expect(effects.shift).toHaveBeenCalledTimes(1);
  });

  it('of a lone worker is its successor’s', async () => {
    const { manager, effects, receipts } = manage({ holding: [busy], wanted: ['a', 'b'] });
    manager.ledger.arrived('a');
    await manager.start();
    await vi.waitFor(() => expect(receipts.length).toBeGreaterThan(0));
    expect(effects.replaceWorker).toHaveBeenCalledWith('worker-1', 'start first', 'a');
    expect(effects.shift).not.toHaveBeenCalled();
  });

  it.each([
    ['its weights would not fit under the line', { lineBytes: 1 }],
    ['no other worker could answer', { models: ['b'], workerCount: 2, idle: false }],
    ['it has not paid yet', { holding: [{ ...busy, batches: 29 }] }],
  ])('does not come where %s', async (_why, changes) => {
    const { manager, effects, errors } = manage({
      ...{ holding: [busy], workerCount: 2, wanted: ['a', 'b'] },
      ...changes,
    });
    manager.ledger.arrived('a');
    await manager.start();
    const { heldModels } = effects;
    let looks = 0;
    effects.heldModels = () => {
      looks += 1;
      return heldModels();
    };
    // The line that is too low is also pressure: then nobody even looks.
    if ('lineBytes' in changes)
      await vi.waitFor(() => expect(manager.reader.level).toBe('critical'));
    else await vi.waitFor(() => expect(looks).toBeGreaterThan(3));
    expect(effects.shift).not.toHaveBeenCalled();
    expect(effects.replaceWorker).not.toHaveBeenCalledWith('worker-1', 'start first', 'a');
    expect(errors).toEqual([]);
  });
});
