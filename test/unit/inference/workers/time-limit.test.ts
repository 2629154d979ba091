import { describe, expect, test } from 'vitest';
import { type Overdue, TimeLimitWatch } from '../../../../src/inference/workers/time-limit.js';

interface Limits {
  readonly budgetMs: number;
  readonly hardMs: number;
  readonly stalledMs?: number;
  readonly threads?: number;
}

/** Looks as often as the watch asks to, at a worker that gets this share of a CPU. */
function watch(
  share: number | undefined,
  { stalledMs = 500, threads = 1, ...limit }: Limits,
): { readonly verdict: Overdue; readonly atMs: number } {
  const watched = new TimeLimitWatch({ limit, stalledMs, threads, mostBytes: 1000 });
  let elapsedMs = watched.firstLookMs;
  for (let looks = 0; looks < 1000; looks += 1) {
    // In steps of 10 ms, as the kernel counts.
    const cpuMs =
      share === undefined ? undefined : Math.floor((5000 + elapsedMs * share) / 10) * 10;
    const next = watched.look({ elapsedMs, cpuMs, privateBytes: 1000 });
    if (typeof next === 'string') return { verdict: next, atMs: elapsedMs };
    expect(next).toBeGreaterThan(0);
    elapsedMs += next;
  }
  throw new Error('it looks for ever');
}

describe('a request that takes long', () => {
  test.each([500, 5000])(
    'on a free CPU ends when its budget is used (silent after %i ms)',
    (stalledMs) => {
      const { verdict, atMs } = watch(1, { budgetMs: 1000, hardMs: 10_000, stalledMs });
      expect(verdict).toBe('overran');
      expect(atMs).toBeGreaterThanOrEqual(1000);
      expect(atMs).toBeLessThan(1100);
    },
  );

  test('on a busy machine gets the CPU time of its budget, not the wall time', () => {
    const { verdict, atMs } = watch(0.25, { budgetMs: 1000, hardMs: 10_000 });
    expect(verdict).toBe('overran');
    expect(atMs).toBeGreaterThan(2000);
    expect(atMs).toBeLessThan(4200);
  });

  test('ends at the hard limit in any case', () => {
    expect(watch(0.2, { budgetMs: 1000, hardMs: 3000 })).toEqual({
      verdict: 'overran',
      atMs: 3000,
    });
    const { verdict, atMs } = watch(1, { budgetMs: 1500, hardMs: 1000 });
    expect([verdict, atMs]).toEqual(['overran', 1000]);
    // A starved one is stopped as well, but not blamed.
    expect(watch(0.1, { budgetMs: 1500, hardMs: 1000 }).verdict).toBe('stalled');
  });

  test('and gets no CPU at all has stalled: nobody is to blame', () => {
    const { verdict, atMs } = watch(0, { budgetMs: 10_000, hardMs: 20_000 });
    expect(verdict).toBe('stalled');
    expect(atMs).toBeGreaterThanOrEqual(500);
    expect(atMs).toBeLessThanOrEqual(1000);
    expect(watch(0, { budgetMs: 100, hardMs: 200, stalledMs: 5000 })).toEqual({
      verdict: 'stalled',
      atMs: 200,
    });
  });

  test('but works a little, as one that waits for a disk, has time until the hard limit', () => {
    expect(watch(0.05, { budgetMs: 10_000, hardMs: 20_000, stalledMs: 5000 })).toEqual({
      verdict: 'stalled',
      atMs: 20_000,
    });
  });

  test('with several threads uses up its budget by the wall clock', () => {
    const { verdict, atMs } = watch(4, { budgetMs: 1000, hardMs: 10_000, threads: 4 });
    expect(verdict).toBe('overran');
    expect(atMs).toBeLessThan(1100);
  });

  test('is judged by the clock where the system counts no CPU time', () => {
    const { verdict, atMs } = watch(undefined, { budgetMs: 1000, hardMs: 10_000 });
    expect(verdict).toBe('overran');
    expect(atMs).toBeLessThan(1100);
  });

  test('and takes more memory than it may ends at once', () => {
    const limit = { budgetMs: 10_000, hardMs: 10_000 };
    const watched = new TimeLimitWatch({ limit, stalledMs: 5000, threads: 1, mostBytes: 1000 });
    expect(watched.firstLookMs).toBeLessThanOrEqual(500);
    expect(watched.look({ elapsedMs: 500, cpuMs: 500, privateBytes: 1000 })).toBeLessThanOrEqual(
      500,
    );
    expect(watched.look({ elapsedMs: 900, cpuMs: 900, privateBytes: 1001 })).toBe('outgrew');
    expect(watched.look({ elapsedMs: 900, cpuMs: 900, privateBytes: undefined })).toBeTypeOf(
      'number',
    );
  });
});
