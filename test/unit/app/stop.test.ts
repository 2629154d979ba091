import { expect, test } from 'vitest';
import { STOP_SHARES, stepEnds } from '../../../src/app/app.js';

test('all steps of stopping fit into the grace time, each hanging to its end, with records as the last', () => {
  const shares = Object.values(STOP_SHARES);
  for (const share of shares) expect(share).toBeGreaterThan(0);
  expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThan(1);
  const steps = Object.keys(STOP_SHARES);
  expect(steps.at(-1)).toBe('records');
  // What was recorded of the sessions is written before anything else can hang.
  expect(steps.indexOf('records so far')).toBe(steps.indexOf('sessions') + 1);
});

test('a step may take what those before it have left', () => {
  expect(stepEnds('jobs')).toBe(STOP_SHARES.jobs);
  expect(stepEnds('memory')).toBeGreaterThan(0.7);
  expect(stepEnds('records')).toBeLessThan(1);
});
