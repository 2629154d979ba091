import { expect, test } from 'vitest';
import {
  asVerdict,
  referenceVerdict,
  type Verdict,
} from '../../../../../src/models/compile/verify/verdict.js';
import { DEFAULT_BOUNDS } from '../../default-bounds.js';
import { plainFindings } from '../../described.js';

const agreement = {
  ...{ rows: 9, labels: 100, clearFlips: 0, nearFlips: 0, shift: 0.01, neighbours: 0 },
};
const fast: Verdict = {
  ...referenceVerdict(DEFAULT_BOUNDS, 'verified'),
  ...{ form: 'int8', serves: 'fast', plan: plainFindings().plan, digest: 'd' },
  candidates: [{ form: 'int8', outcome: 'used', reason: 'r', agreement }],
};
const stored = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('a verdict is read as it was written, also one with differences without bound', () => {
  expect(asVerdict(stored(fast))).toEqual(fast);
  const reference = referenceVerdict(DEFAULT_BOUNDS, 'none');
  expect(asVerdict(stored(reference))).toEqual(reference);
  const endless = { ...agreement, shift: Number.POSITIVE_INFINITY };
  const bad = { ...fast, candidates: [{ ...fast.candidates[0], agreement: endless }] };
  expect(asVerdict(stored(bad))).toBeDefined();
});

test.each([
  ['nothing', undefined],
  ['a list', []],
  ['another word', { ...fast, serves: 'slow' }],
  ['a fast form without a plan', { ...fast, plan: undefined }],
  ['a plan that is none', { ...fast, plan: { inputs: 3 } }],
  ['no bounds', { ...fast, bounds: null }],
  ['a candidate that is none', { ...fast, candidates: [{ form: 'int8' }] }],
])('%s is no verdict', (_name, value) => {
  expect(asVerdict(value)).toBeUndefined();
});
