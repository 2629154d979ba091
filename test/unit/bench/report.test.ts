import { describe, expect, test } from 'vitest';
import {
  atLeast,
  atMost,
  type Check,
  exactly,
  isMeasured,
  measuredOr,
  NotMeasuredError,
  stateOf,
} from '../../../bench/harness/checks.js';
import {
  exitCodeOf,
  jsonLineOfAll,
  printed,
  shownFigure,
  stateOfResult,
} from '../../../bench/harness/report.js';
import { resultWith } from './results.js';

const unmeasured = { notMeasured: 'only 3 requests were answered' };

describe('a check', () => {
  test.each([
    [atMost('a', 1, 1), true],
    [atMost('a', 1.01, 1), false],
    [atLeast('a', 1, 1), true],
    [atLeast('a', 0.99, 1), false],
    [exactly('a', 0, 0), true],
    [exactly('a', 1, 0), false],
  ])('%j', (check, holds) => {
    expect(stateOf(check)).toBe(holds ? 'holds' : 'does not hold');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('of %d was not measured', (figure) => {
    for (const check of [
      atMost('a', figure, 1),
      atLeast('a', figure, 1),
      exactly('a', figure, 1),
    ]) {
      expect(stateOf(check)).toBe('not measured');
      expect(check).toMatchObject({ value: null, ok: false, not_measured: expect.any(String) });
    }
  });

  test('says why there is no figure', () => {
    expect(atMost('p99', unmeasured, 100, 'ms')).toEqual({
      check: 'p99',
      value: null,
      unit: 'ms',
      bound: '<= 100',
      ok: false,
      not_measured: 'only 3 requests were answered',
    });
  });
});

test('a benchmark goes on without what could not be measured, but not after another error', async () => {
  const without = await measuredOr(async () => {
    throw new NotMeasuredError('a busy machine');
  });
  expect(without).toEqual({ notMeasured: 'a busy machine' });
  expect(isMeasured(without)).toBe(false);
  expect(await measuredOr(async () => ({ rate: 1 }))).toEqual({ rate: 1 });
  const wrong = measuredOr(async () => {
    throw new Error('another answer than the peer');
  });
  await expect(wrong).rejects.toThrow('another answer');
});

describe('a result', () => {
  const [good, bad, none] = [atMost('a', 1, 2), atMost('b', 3, 2), atMost('c', unmeasured, 2)];

  test.each<[string, Parameters<typeof resultWith>[0], number]>([
    ['holds', { checks: [good] }, 0],
    ['does not hold', { checks: [good, none, bad] }, 1],
    ['not measured', { checks: [good, none] }, 3],
    ['not measured', { not_run: 'no cgroup' }, 3],
    ['broke down', { error: 'Error: no server' }, 1],
    ['broke down', { checks: [] }, 1],
  ])('%s: %j', (state, change, code) => {
    const result = resultWith({ checks: [], ...change });
    expect(stateOfResult(result)).toBe(state);
    expect(exitCodeOf([stateOfResult(result)])).toBe(code);
  });

  test('of all: what does not hold comes before what was not measured', () => {
    expect(exitCodeOf(['holds', 'not measured', 'does not hold'])).toBe(1);
    expect(exitCodeOf(['holds', 'not measured'])).toBe(3);
    expect(exitCodeOf(['holds', 'holds'])).toBe(0);
  });

  test('is printed with its reasons and its mark', () => {
    const disturbed = ['other processes took 40 % of the CPU time'];
    const text = printed(resultWith({ checks: [good, bad, none], disturbed_by: disturbed }));
    expect(text.split('\n').map((line) => line.trimEnd())).toEqual([
      'some: does not hold (2 s)',
      '  0 of 10',
      '  DISTURBED: other processes took 40 % of the CPU time',
      '  ok  a  1  <= 2',
      '  NO  b  3  <= 2',
      '  ??  c  not measured  <= 2: only 3 requests were answered',
    ]);
  });

  test('of all names what was not measured, broke down or was disturbed', () => {
    const line = JSON.parse(
      jsonLineOfAll([
        resultWith({ name: 'one', checks: [good] }),
        resultWith({ name: 'two', checks: [], not_run: 'no cgroup', ok: false }),
        resultWith({ name: 'three', checks: [], error: 'no server', ok: false }),
        resultWith({ name: 'four', checks: [good], disturbed_by: ['steal'] }),
      ]),
    );
    expect(line).toMatchObject({
      ok: false,
      checks: [{ check: 'one: a' }, { check: 'four: a' }],
      not_measured: ['two'],
      broke_down: ['three'],
      disturbed: ['four'],
    });
  });
});

test.each<[Check['value'], string, string]>([
  [null, 'ms', 'not measured'],
  [0, '', '0'],
  [1e-7, '', '1.0e-7'],
  [0.0268, '', '0.027'],
  [163.4, 'ms', '163 ms'],
  [12_345, '', '12,345'],
])('%s %s is shown as %s', (value, unit, shown) => {
  expect(shownFigure(value, unit)).toBe(shown);
});
