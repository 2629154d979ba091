import { describe, expect, test, vi } from 'vitest';
import type { Preparer } from '../../../src/models/compile/preparer.js';
import type { ModelRepository } from '../../../src/models/intake/repository.js';
import { ModelLibrary } from '../../../src/models/library.js';
import { model } from '../inference/dispatchers.js';

/** A library over a disk that can hang, and files that can change. */
function onDisk() {
  const { model: found, form } = model('m');
  const disk = {
    ...{ hangs: false, looks: 0, nowMs: 0, end: (): void => undefined },
    ...{ directory: found.directory, prepared: 0 },
  };
  const refresh = async (id: string) => {
    disk.looks += 1;
    if (disk.hangs) {
      await new Promise<void>((resolve) => {
        disk.end = resolve;
      });
    }
    return { ...found, id, directory: disk.directory };
  };
  const idOf = (id: string) => id;
  const library = new ModelLibrary({
    // What the library asks of them, and no more.
    repository: { refresh, idOf } as unknown as ModelRepository,
    preparer: {
      faultOf: async () => undefined,
      ensure: async () => {
        disk.prepared += 1;
        return form;
      },
      revoke: async () => form,
    } as unknown as Preparer,
    forms: {} as never,
    now: () => disk.nowMs,
  });
  return { disk, library };
}

test('while its files do not answer, a model that is ready is served, and one look waits', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { disk, library } = onDisk();
  const first = await library.ready('m');
  expect([disk.looks, library.blindBecause]).toEqual([1, '']);
  disk.hangs = true;
  disk.nowMs = 3000;
  expect(library.readyNow('m')).toBeUndefined();
  const waiting = Promise.all(Array.from({ length: 20 }, () => library.ready('m')));
  await vi.advanceTimersByTimeAsync(500);
  for (const ready of await waiting) expect(ready.form).toBe(first.form);
  expect(disk.looks).toBe(2);
  // From now on nobody waits.
  disk.nowMs = 3600;
  expect(library.readyNow('m')?.form).toBe(first.form);
  disk.nowMs = 9000;
  expect((await library.ready('m')).form).toBe(first.form);
  expect(library.blindBecause).toContain('have not answered for 6 s');
  await expect(library.ready('another')).rejects.toMatchObject({
    ...{ code: 'STORAGE_UNAVAILABLE', retryAfterSeconds: 5 },
  });
  expect(disk.looks).toBe(2);
  disk.hangs = false;
  disk.end();
  await vi.advanceTimersByTimeAsync(1);
  expect(library.blindBecause).toBe('');
  // What the late look found is as old as its begin.
  expect(library.readyNow('m')).toBeUndefined();
  expect((await library.ready('m')).form).toBe(first.form);
  expect(disk.looks).toBe(3);
  disk.nowMs = 12_000;
  expect((await library.ready('another')).model.id).toBe('another');
  vi.useRealTimers();
});

test('callers of a model that was never seen are told that its files do not answer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { disk, library } = onDisk();
  disk.hangs = true;
  const asked = Array.from({ length: 20 }, () => library.ready('m'));
  const told = Promise.all(
    asked.map((one) => expect(one).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })),
  );
  await vi.advanceTimersByTimeAsync(5000);
  await told;
  expect(disk.looks).toBe(1);
  disk.hangs = false;
  disk.end();
  expect((await library.ready('m')).model.id).toBe('m');
  vi.useRealTimers();
});

test('concurrent callers share one look', async () => {
  const { disk, library } = onDisk();
  const all = await Promise.all(Array.from({ length: 20 }, () => library.ready('m')));
  expect(all).toHaveLength(20);
  expect(disk.looks).toBe(1);
});

test('a model that is in use is looked at beside its requests: none of them waits', async () => {
  const { disk, library } = onDisk();
  await library.ready('m');
  for (disk.nowMs = 100; disk.nowMs < 10_000; disk.nowMs += 100) {
    expect(library.readyNow('m')).toBeDefined();
    await new Promise(setImmediate);
  }
  expect(disk.looks).toBeGreaterThanOrEqual(9);
  expect(disk.looks).toBeLessThanOrEqual(11);
});

describe('a model whose files have moved to another folder, as with a new commit of a hub', () => {
  async function moved() {
    const { disk, library } = onDisk();
    const before = await library.ready('m');
    disk.directory = 'snapshots/new';
    disk.nowMs = 3000;
    return { disk, library, before };
  }

  test('is served from there, in the form that it has', async () => {
    const { disk, library, before } = await moved();
    const after = await library.ready('m');
    expect([after.model.directory, after.form]).toEqual(['snapshots/new', before.form]);
    expect(disk.prepared).toBe(1);
    expect(library.readyNow('m')).toBe(after);
    disk.nowMs = 6000;
    expect(await library.ready('m')).toBe(after);
  });

  test('stays there when work that began before it moved ends', async () => {
    const { library, before } = await moved();
    const after = await library.ready('m');
    library.remeasured(before.model, { ...before.form });
    expect(library.readyNow('m')?.model.directory).toBe('snapshots/new');
    expect(library.readyNow('m')?.model.description).toEqual(after.model.description);
    await library.revoke(before, 'no');
    expect(library.readyNow('m')?.model.directory).toBe('snapshots/new');
  });
});
