import { describe, expect, test } from 'vitest';
import { SetAsideModels } from '../../../../src/inference/faults/set-aside-models.js';

function models() {
  const clock = { ms: 0 };
  return { clock, models: new SetAsideModels(() => clock.ms) };
}

describe('a model whose texts fail one after the other', () => {
  test('is set aside with the third, for half a minute', () => {
    const { clock, models: of } = models();
    expect([1, 2, 3].map(() => of.failed('m', 'd'))).toEqual([false, false, true]);
    expect(of.refusalOf('m', 'd')).toMatchObject({
      code: 'MODEL_UNUSABLE',
      retryAfterSeconds: 30,
      retryable: true,
    });
    expect(of.refusalOf('other', 'd')).toBeUndefined();
    clock.ms = 30_000;
    expect(of.refusalOf('m', 'd')).toBeUndefined();
  });

  test('is set aside again with the next one, for twice as long each time, up to ten minutes', () => {
    const { clock, models: of } = models();
    for (let n = 0; n < 2; n += 1) of.failed('m', 'd');
    const pauses = Array.from({ length: 7 }, () => {
      expect(of.failed('m', 'd')).toBe(true);
      const seconds = of.refusalOf('m', 'd')?.retryAfterSeconds ?? 0;
      clock.ms += seconds * 1000;
      return seconds;
    });
    expect(pauses).toEqual([30, 60, 120, 240, 480, 600, 600]);
  });

  test('is trusted again once it has answered', () => {
    const { models: of } = models();
    of.failed('m', 'd');
    of.failed('m', 'd');
    of.answered('m');
    expect(of.failed('m', 'd')).toBe(false);
    expect(of.refusalOf('m', 'd')).toBeUndefined();
  });

  test('is another model once its files have changed', () => {
    const { models: of } = models();
    for (let n = 0; n < 3; n += 1) of.failed('m', 'd');
    expect(of.refusalOf('m', 'new')).toBeUndefined();
    expect(of.failed('m', 'new')).toBe(false);
  });
});
