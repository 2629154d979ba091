/** What a job sends ahead to workers while no caller is there, and what becomes of it when one comes. */
import { expect, test } from 'vitest';
import { model, never, start } from './dispatchers.js';
import { newGate } from './workers/workers.js';

test('a caller who comes has its turn after the row that runs: the rest is recalled, and done later', async () => {
  const { dispatcher, batches } = await start({}, { count: 1 });
  const ready = model();
  const job = (inputs: readonly string[]) => {
    const keyed = { keys: inputs.map((input) => `key of ${input}`), onResult: () => undefined };
    return dispatcher.submitJob(ready, inputs, never(), 'job', keyed);
  };
  // The first batch of a model tells what its rows cost: only then are they bundled.
  await job(['1']);
  const gate = newGate();
  let ended = 0;
  const jobs = [job([gate.input, '2 b']), job(['3 c', '4 d', '5 e'])];
  const results = Promise.all(
    jobs.map(async (each) => {
      const { rows } = await each;
      ended += 1;
      return rows.map(({ scores }) => scores[0]);
    }),
  );
  await gate.reached();
  const called = dispatcher.submit(ready, ['6 f'], never(), 'caller');
  gate.open();
  const { rows } = await called;
  expect(rows.map(({ scores }) => scores[0])).toEqual([6]);
  // All of it was in the worker or before it when the caller came.
  expect(ended).toBe(0);
  expect(await results).toEqual([
    [0, 2],
    [3, 4, 5],
  ]);
  // Each row counts once, though it was sent twice.
  expect(batches.reduce((sum, { items }) => sum + items, 0)).toBe(7);
});

test('a caller who asks for what a bundle has need not wait for the bundle', async () => {
  const { dispatcher } = await start({}, { count: 1 });
  const ready = model();
  const keyed = (keys: readonly string[]) => ({ keys, onResult: () => undefined });
  await dispatcher.submitJob(ready, ['1'], never(), 'job', keyed(['a']));
  const gate = newGate();
  const inputs = [gate.input, '2 b', '3 c', '4 d'];
  let hasEnded = false;
  const job = dispatcher
    .submitJob(ready, inputs, never(), 'job', keyed(['g', 'b', 'c', 'd']))
    .then((answer) => {
      hasEnded = true;
      return answer;
    });
  await gate.reached();
  const called = dispatcher.submit(ready, ['4 d'], never(), 'caller', keyed(['d']));
  gate.open();
  expect((await called).rows[0]?.scores[0]).toBe(4);
  expect(hasEnded).toBe(false);
  expect((await job).rows.map(({ scores }) => scores[0])).toEqual([0, 2, 3, 4]);
});
