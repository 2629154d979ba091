import { describe, expect, test } from 'vitest';
import { checkAnswerSize, keptLabels, wantedLabels } from '../../../src/inference/answer-budget.js';

const check = (inputs: number, labels: number, topK?: number) => () =>
  checkAnswerSize({ inputs, labels, topK }, 1000);

describe('the size of an answer', () => {
  test('is inputs × labels that the caller gets', () => {
    expect(check(100, 10)).not.toThrow();
    expect(check(101, 10)).toThrow();
    expect(check(1000, 20_000, 1)).not.toThrow();
    expect(check(1001, 20_000, 1)).toThrow();
    // More than there are is all there are.
    expect(check(500, 2, 50)).not.toThrow();
  });

  test('over the limit is refused with the figures and the remedies', () => {
    expect(check(50, 100)).toThrow(
      expect.objectContaining({
        code: 'ANSWER_TOO_LARGE',
        status: 413,
        message:
          '50 inputs × 100 labels are 5000 scores; an answer has at most 1000 (request.max_answer_scores): send at most 10 inputs in one request, or set top_k to 20 or less',
      }),
    );
    // One input alone has too many labels.
    expect(check(1, 20_000)).toThrow(/\): set top_k to 1000 or less$/);
    // Too many inputs, whatever is asked of each.
    expect(check(2000, 2)).toThrow(/\): send at most 500 inputs in one request$/);
  });
});

describe('the labels that a worker returns', () => {
  test('are all of them where they are few, or most are wanted', () => {
    expect(keptLabels(2, 1)).toBeUndefined();
    expect(keptLabels(64, 1)).toBeUndefined();
    expect(keptLabels(1000, 501)).toBeUndefined();
    expect(keptLabels(1000, wantedLabels(1000, undefined))).toBeUndefined();
  });

  test('are some more than are wanted, for the next request', () => {
    expect(keptLabels(20_000, 1)).toBe(16);
    expect(keptLabels(20_000, 100)).toBe(100);
  });
});
