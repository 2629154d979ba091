import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  doneWithin,
  settledWithin,
  TimeLimitError,
  withinTime,
} from '../../../src/system/time-limit.js';

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

const never = () => new Promise<string>(() => undefined);

describe('work with a time limit', () => {
  test('gives its outcome, and leaves no timer behind', async () => {
    fakeTimers();
    expect(await withinTime(Promise.resolve('done'), 1000, 'work')).toBe('done');
    const failing = withinTime(Promise.reject(new Error('no')), 1000, 'work');
    await expect(failing).rejects.toThrow('no');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is given up when the time is over', async () => {
    fakeTimers();
    const late = withinTime(never(), 1000, 'reading memory');
    late.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1000);
    await expect(late).rejects.toEqual(
      new TimeLimitError('reading memory did not end within 1000 ms'),
    );
  });

  test('tells whether it has settled, well or not', async () => {
    fakeTimers();
    expect(await settledWithin(Promise.reject(new Error('no')), 10)).toBe(true);
    const late = settledWithin(never(), 10);
    await vi.advanceTimersByTimeAsync(10);
    expect(await late).toBe(false);
  });
});

describe('synchronous work', () => {
  test('gives its result, or its own error', () => {
    expect(doneWithin(() => 3, 1000, 'counting')).toBe(3);
    const fails = () => {
      throw new TypeError('odd');
    };
    expect(() => doneWithin(fails, 1000, 'counting')).toThrow(TypeError);
  });

  test('is broken off, in the middle of a regular expression too', () => {
    const slow = () => /(?:x+x+)+y/.test('x'.repeat(60));
    expect(() => doneWithin(slow, 50, 'matching')).toThrow(TimeLimitError);
    expect(doneWithin(() => 'after', 1000, 'more')).toBe('after');
  });
});
