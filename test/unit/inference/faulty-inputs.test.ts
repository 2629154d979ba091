import { expect, test } from 'vitest';
import type { Refusal } from '../../../src/inference/faults/faults.js';
import type { Keyed } from '../../../src/inference/requests.js';
import { model, never, numbers, start } from './dispatchers.js';
import { newGate } from './workers/workers.js';

/** Time for a worker to use up a second of CPU, on a machine that is busy with other tests. */
const SLOW = { timeout: 120_000 };

const keyed = (...keys: readonly string[]): Keyed => ({ keys, onResult: () => undefined });

test('a batch that fails is tried again row by row: each failure is its own request’s', async () => {
  const { dispatcher, batches } = await start({}, { count: 1 });
  const gate = newGate();
  const first = dispatcher.submit(model(), [gate.input], never());
  await gate.reached();
  const bad = dispatcher.submit(model(), ['refuse'], never());
  const good = [1, 2, 3].map((n) => dispatcher.submit(model(), [`${n}`], never()));
  gate.open();
  await first;
  await expect(bad).rejects.toMatchObject({
    code: 'MODEL_UNUSABLE',
    message: 'refused on purpose',
  });
  expect((await Promise.all(good)).map(numbers)).toEqual([[1], [2], [3]]);
  // No worker was lost, and each of the good ones ran alone.
  expect(batches.map(({ items }) => items)).toEqual([1, 1, 1, 1]);
});

test('a model that cannot be opened fails every row at once: nothing is tried again', async () => {
  const { dispatcher, pool } = await start({}, { count: 1 });
  const all = [1, 2].map((n) => dispatcher.submit(model('b', 'broken'), [`${n}`], never()));
  for (const each of all) await expect(each).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
  expect(pool.workers.map(({ id }) => id)).toEqual(['worker-1']);
});

test(
  'a text that never ends costs one worker, gets its own answer, and is refused from then on',
  SLOW,
  async () => {
    const refusals: Refusal[] = [];
    const { dispatcher, pool } = await start({
      onRefusal: (refusal) => refusals.push(refusal),
    });
    // What a batch takes is known from here.
    await dispatcher.submit(model(), ['1'], never());
    const bad = dispatcher.submit(model(), ['burn'], never(), 'u', keyed('key of burn'));
    await expect(bad).rejects.toMatchObject({
      code: 'INPUT_REFUSED',
      message:
        'inputs[0] takes far longer than texts of its length take; it is refused for 5 minutes',
    });
    const again = { ...keyed('other', 'key of burn'), positions: [4, 7] };
    const refused = dispatcher.submit(model(), ['1', 'burn'], never(), 'u', again);
    await expect(refused).rejects.toThrow(/^inputs\[7\] takes far longer/);
    expect(numbers(await dispatcher.submit(model(), ['5'], never()))).toEqual([5]);
    expect(refusals).toEqual([
      { what: 'text', model: 'm', reason: 'takes far longer than texts of its length take' },
    ]);
    // The other worker was never touched.
    expect(pool.find('worker-2')?.state ?? pool.find('worker-1')?.state).toBe('ready');
  },
);

test('its neighbours in the batch are answered all the same', SLOW, async () => {
  const { dispatcher } = await start({}, { count: 1 });
  const gate = newGate();
  const first = dispatcher.submit(model(), [gate.input], never());
  await gate.reached();
  const bad = dispatcher.submit(model(), ['burn'], never());
  const good = [1, 2, 3].map((n) => dispatcher.submit(model(), [`${n}`], never()));
  gate.open();
  await first;
  await expect(bad).rejects.toMatchObject({ code: 'INPUT_REFUSED' });
  expect((await Promise.all(good)).map(numbers)).toEqual([[1], [2], [3]]);
});

test(
  'a model that never answers is set aside: its callers are told, others are served',
  SLOW,
  async () => {
    const refusals: Refusal[] = [];
    const { dispatcher } = await start({
      onRefusal: (refusal) => refusals.push(refusal),
    });
    await dispatcher.submit(model('endless'), ['1'], never());
    const endless = [1, 2, 3, 4, 5, 6].map((n) =>
      dispatcher.submit(model('endless'), ['burn'], never(), `user ${n}`),
    );
    const outcomes = await Promise.allSettled(endless);
    const codes = outcomes.map((of) => (of.status === 'rejected' ? of.reason.code : 'answered'));
    // Three, or four where the other worker ran one as well.
    const refused = codes.filter((code) => code === 'INPUT_REFUSED').length;
    expect([3, 4]).toContain(refused);
    expect(codes.filter((code) => code === 'MODEL_UNUSABLE')).toHaveLength(6 - refused);
    const later = dispatcher.submit(model('endless'), ['1'], never());
    await expect(later).rejects.toMatchObject({
      code: 'MODEL_UNUSABLE',
      retryable: true,
      retryAfterSeconds: expect.any(Number),
    });
    expect(refusals.map(({ what }) => what)).toContain('model');
    expect(numbers(await dispatcher.submit(model(), ['5'], never()))).toEqual([5]);
  },
);

test(
  'a text that takes memory without bound is refused long before it took all',
  SLOW,
  async () => {
    const { dispatcher } = await start({}, { count: 1, mostPrivateBytes: 200 * 2 ** 20 });
    const bad = dispatcher.submit(model(), ['grow'], never());
    await expect(bad).rejects.toMatchObject({
      code: 'INPUT_REFUSED',
      message: expect.stringMatching(/takes more memory than the load line has/),
    });
    expect(numbers(await dispatcher.submit(model(), ['5'], never()))).toEqual([5]);
  },
);

test('a model that has answered nothing yet gets one worker; the other one serves', async () => {
  const { dispatcher } = await start();
  const gate = newGate();
  const first = dispatcher.submit(model('new'), [gate.input], never(), 'a');
  await gate.reached();
  const more = dispatcher.submit(model('new'), ['2'], never(), 'b');
  expect(dispatcher.waitingCount).toBe(1);
  expect(numbers(await dispatcher.submit(model(), ['7'], never(), 'c'))).toEqual([7]);
  gate.open();
  await first;
  expect(numbers(await more)).toEqual([2]);
});
