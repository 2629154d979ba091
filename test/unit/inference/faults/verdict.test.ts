import { describe, expect, test } from 'vitest';
import { PlimsollError } from '../../../../src/errors.js';
import { type Fault, faultOf, verdictOn } from '../../../../src/inference/faults/verdict.js';
import { BatchError, WorkerGoneError } from '../../../../src/inference/workers/worker-gone.js';

const error = new PlimsollError('MODEL_UNUSABLE', 'no');
const lost = (ending: WorkerGoneError['ending']): Fault => ({
  ...{ kind: 'lost', ending, stage: 'running' },
});

describe('what is thrown', () => {
  test.each([
    [new BatchError(error), { kind: 'failed', error }],
    [error, { kind: 'not opened', error }],
    [new WorkerGoneError('gone', { stage: 'not begun' }), { kind: 'not begun' }],
    [new WorkerGoneError('gone', { ending: 'overran' }), lost('overran')],
    [new WorkerGoneError('gone'), lost('ended')],
  ])('%s', (thrown, fault) => {
    expect(faultOf(thrown)).toEqual(fault);
  });
});

describe('a row whose batch failed', () => {
  test('1: fails if the model cannot be opened, alone or not', () => {
    for (const isAlone of [true, false]) {
      const verdict = verdictOn({ kind: 'not opened', error }, isAlone, 0);
      expect(verdict).toEqual({ is: 'failed', error });
    }
  });

  test('2: runs again as it was if the worker had not begun', () => {
    const verdict = verdictOn({ kind: 'not begun' }, false, 2);
    expect(verdict).toEqual({ is: 'again', alone: false, counts: false });
  });

  test('3: blames no text for a worker that ended while it opened the model', () => {
    for (const ending of ['ended', 'overran', 'outgrew', 'stalled'] as const) {
      const fault = { kind: 'lost', ending, stage: 'opening' } as const;
      const again = { is: 'again', alone: false, counts: true };
      expect(verdictOn(fault, true, 0)).toEqual(again);
      expect(verdictOn(fault, true, 2)).toMatchObject({
        is: 'failed',
        error: { code: 'WORKER_LOST', message: expect.stringContaining(ending) },
      });
    }
  });

  test.each([
    ['the batch failed', { kind: 'failed', error } as const, false],
    ['its worker ended', lost('ended'), true],
    ['it took too long', lost('overran'), true],
    ['its worker stood still', lost('stalled'), true],
  ])('4: with neighbours runs again alone: %s', (_, fault, counts) => {
    expect(verdictOn(fault, false, 2)).toEqual({ is: 'again', alone: true, counts });
  });

  test('5: alone fails with the worker’s error', () => {
    expect(verdictOn({ kind: 'failed', error }, true, 0)).toEqual({ is: 'failed', error });
  });

  test('6: alone is refused at once if it used up its time', () => {
    expect(verdictOn(lost('overran'), true, 0)).toMatchObject({ is: 'refused' });
  });

  test('7, 8: alone may lose some workers, as others end them too', () => {
    for (const losses of [0, 1]) {
      for (const ending of ['ended', 'stalled', 'garbled'] as const) {
        const again = { is: 'again', alone: true, counts: true };
        expect(verdictOn(lost(ending), true, losses)).toEqual(again);
      }
    }
    expect(verdictOn(lost('ended'), true, 2)).toMatchObject({ is: 'refused' });
    for (const ending of ['stalled', 'garbled'] as const) {
      expect(verdictOn(lost(ending), true, 2)).toMatchObject({
        is: 'failed',
        error: { code: 'WORKER_LOST', retryable: true },
      });
    }
  });
});
