import { expect, test } from 'vitest';
import { EventLoopYield } from '../../../src/inference/yielding.js';

/** Settles in a later turn of the event loop, as what has come meanwhile is served. */
function laterTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('one caller goes on in each turn of the event loop, in their order', async () => {
  const slices = new EventLoopYield();
  const done: string[] = [];
  const work = ['a', 'b'].map(async (name) => {
    for (let slice = 1; slice <= 2; slice += 1) {
      await slices.next();
      done.push(`${name}${slice}`);
    }
  });
  const seen: number[] = [];
  while (done.length < 4) {
    await laterTurn();
    seen.push(done.length);
  }
  await Promise.all(work);
  expect(done).toEqual(['a1', 'b1', 'a2', 'b2']);
  // Never two in one turn.
  for (const [index, count] of seen.entries()) {
    expect(count - (seen[index - 1] ?? 0)).toBeLessThanOrEqual(1);
  }
});

test('who comes when nobody waits goes on all the same', async () => {
  const slices = new EventLoopYield();
  await slices.next();
  await slices.next();
  await Promise.all([slices.next(), slices.next()]);
});
