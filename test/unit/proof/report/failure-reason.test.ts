import { describe, expect, test } from 'vitest';
import type { Criterion } from '../../../../src/proof/judge/criteria/criterion.js';
import type { ProofReport } from '../../../../src/proof/judge/report-schema.js';
import { failureReason } from '../../../../src/proof/report/failure-reason.js';

function criterion(claim: string, held: Criterion['held'], over: Partial<Criterion> = {}) {
  const value = `what was found of ${claim}`;
  return {
    id: claim,
    claim,
    how_tested: '',
    threshold: '',
    value,
    held,
    may_stay_open: false,
    ...over,
  };
}

function reasonOf(criteria: readonly Criterion[], stopped: string | null = null) {
  const run = { stopped } as ProofReport['run'];
  return failureReason({ verdict: 'failed', run, criteria });
}

describe('why a proof failed', () => {
  test('is not said of one that passed', () => {
    const run = { stopped: null } as ProofReport['run'];
    expect(failureReason({ verdict: 'passed', run, criteria: [] })).toBeNull();
  });

  test('is what stopped the run, whatever else was found', () => {
    expect(reasonOf([criterion('A', false)], 'it was stopped by hand')).toBe(
      'The run was not finished: it was stopped by hand.',
    );
  });

  test('is the first criterion that does not hold, before one that cannot be told', () => {
    const open = criterion('B', 'cannot tell');
    expect(reasonOf([open, criterion('A', true), criterion('C', false)])).toBe(
      '“C” does not hold: what was found of C; and 1 more.',
    );
    expect(reasonOf([open, criterion('D', 'cannot tell', { may_stay_open: true })])).toBe(
      '“B” cannot be told: what was found of B.',
    );
  });

  test('is one line, however much was found', () => {
    const long = criterion('A', false, { value: 'user 1 was refused, '.repeat(200) });
    expect(reasonOf([long])?.length).toBeLessThan(320);
  });
});
