import { expect, onTestFinished, test, vi } from 'vitest';
import { Limiter } from '../../../src/pools/limiter.js';

/** A task that the test ends. */
function task(): { readonly run: () => Promise<string>; readonly end: () => void; begun: boolean } {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const own = {
    begun: false,
    run: async () => {
      own.begun = true;
      await ended;
      return 'done';
    },
    end: () => end(),
  };
  return own;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('runs at most so many at a time, in the order of asking', async () => {
  const limiter = new Limiter('lists', 2, 10_000);
  const tasks = Array.from({ length: 4 }, task);
  const running = tasks.map(({ run }) => limiter.run(run));
  await turn();
  expect(tasks.map(({ begun }) => begun)).toEqual([true, true, false, false]);
  tasks[1]?.end();
  await turn();
  expect(tasks.map(({ begun }) => begun)).toEqual([true, true, true, false]);
  for (const { end } of tasks) end();
  expect(await Promise.all(running)).toEqual(['done', 'done', 'done', 'done']);
});

test('a task that fails gives its place to the next one', async () => {
  const limiter = new Limiter('lists', 1, 10_000);
  const failing = limiter.run(() => Promise.reject(new Error('no')));
  const next = limiter.run(() => Promise.resolve('yes'));
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});

test('who waits too long is refused, and takes no place', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const limiter = new Limiter('lists', 1, 1000);
  const first = task();
  const running = limiter.run(first.run);
  const late = task();
  const refused = expect(limiter.run(late.run)).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
  await vi.advanceTimersByTimeAsync(1000);
  await refused;
  first.end();
  await running;
  expect(late.begun).toBe(false);
  expect(await limiter.run(() => Promise.resolve('free'))).toBe('free');
});
