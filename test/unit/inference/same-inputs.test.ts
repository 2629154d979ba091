import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { model, never, numbers, start } from './dispatchers.js';
import { newGate, temporaryFolder } from './workers/workers.js';

describe('inputs that are the same', () => {
  /** Each text is its own key; tells what was kept. */
  function keyed(...keys: readonly string[]) {
    const kept: string[] = [];
    return { kept, keys, onResult: (key: string) => kept.push(key) };
  }

  test('run once, for whoever comes first: nobody waits for the rest of another one’s request', async () => {
    const limits = { maxItems: 1, maxSize: 100_000 };
    const { dispatcher, batches } = await start({ limits }, { count: 1 });
    const [before, last] = [newGate(), newGate()];
    const first = dispatcher.submit(model(), [before.input], never());
    await before.reached();
    const texts = ['1', '2', '3', '4', last.input];
    const flood = keyed(...texts);
    const many = dispatcher.submit(model(), texts, never(), 'flood', flood);
    const few = keyed('4');
    const one = dispatcher.submit(model(), ['4'], never(), 'one', few);
    before.open();
    await first;
    expect(numbers(await one)).toEqual([4]);
    await last.reached();
    // Kept as they come, and by the one for whom it ran.
    expect([...flood.kept].sort()).toEqual(['1', '2', '3']);
    expect(few.kept).toEqual(['4']);
    last.open();
    expect(numbers(await many)).toEqual([1, 2, 3, 4, 0]);
    expect(batches).toHaveLength(6);
  });

  test('that come while one of them runs are answered with it, even if its caller has left', async () => {
    const { dispatcher, batches } = await start({}, { count: 1 });
    const gate = newGate();
    const leaver = new AbortController();
    const leaving = dispatcher.submit(model(), [gate.input], leaver, 'a', keyed(gate.input));
    await gate.reached();
    const staying = dispatcher.submit(model(), [gate.input], never(), 'b', keyed(gate.input));
    expect(dispatcher.waitingCount).toBe(0);
    leaver.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    gate.open();
    expect((await staying).rows).toHaveLength(1);
    expect(batches.map(({ items }) => items)).toEqual([1]);
  });

  test('are each on their own again when the worker dies', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const bad = ['a', 'b'].map((user) =>
      dispatcher.submit(model(), ['crash'], never(), user, keyed('crash')),
    );
    const file = path.join(temporaryFolder(), 'crashed');
    const once = [`crash-once ${file}`];
    const good = ['c', 'd'].map((user) =>
      dispatcher.submit(model(), once, never(), user, keyed(...once)),
    );
    for (const lost of bad) await expect(lost).rejects.toMatchObject({ code: 'INPUT_REFUSED' });
    for (const answer of await Promise.all(good)) expect(answer.rows).toHaveLength(1);
    expect(dispatcher.waitingCount).toBe(0);
    expect(dispatcher.isWanted('m')).toBe(false);
  });
});
