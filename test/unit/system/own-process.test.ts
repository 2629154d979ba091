import { existsSync, readFileSync } from 'node:fs';
import { url } from 'node:inspector';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../../src/system/own-process.js';
import { layOut } from './trees.js';

test('collects garbage though the process was started without --expose-gc', () => {
  expect(process.execArgv).not.toContain('--expose-gc');
  expect(collectGarbage()).toBeGreaterThan(0);
});

test('an object that nobody holds is gone after it', async () => {
  const dropped = (() => new WeakRef({ name: 'dropped' }))();
  // A WeakRef keeps its target until the job that made it ends.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(dropped.deref()).toBeUndefined();
});

test('a thorough collection opens no port for a debugger', () => {
  collectGarbage('thorough');
  expect(url()).toBeUndefined();
});

test('a Node without the inspector collects all the same', async () => {
  vi.resetModules();
  const without = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
  const fresh = await import('../../../src/system/own-process.js');
  const dropped = (() => new WeakRef({ name: 'dropped' }))();
  await new Promise((resolve) => setImmediate(resolve));
  fresh.collectGarbage('thorough');
  expect(without).toHaveBeenCalledWith('node:inspector');
  expect(dropped.deref()).toBeUndefined();
  without.mockRestore();
});

test('gc does not stay visible to others, in this context or a later one', () => {
  collectGarbage();
  expect(globalThis.gc).toBeUndefined();
  expect(runInNewContext('typeof gc')).toBe('undefined');
});

test('writes the score where the kernel takes it', () => {
  const root = layOut({ 'proc/self/oom_score_adj': '0' });
  expect(adviseOutOfMemoryKiller(300, root)).toBe(true);
  expect(readFileSync(join(root, 'proc/self/oom_score_adj'), 'utf8')).toBe('300');
});

test('says no, and leaves nothing behind, where there is no such file', () => {
  const root = layOut();
  expect(adviseOutOfMemoryKiller(300, root)).toBe(false);
  expect(existsSync(join(root, 'proc'))).toBe(false);
});

test('the real kernel takes the score that is set already and refuses one out of range', () => {
  const current = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  expect(adviseOutOfMemoryKiller(current)).toBe(true);
  expect(adviseOutOfMemoryKiller(5000)).toBe(false);
  expect(Number(readFileSync('/proc/self/oom_score_adj', 'utf8'))).toBe(current);
});
