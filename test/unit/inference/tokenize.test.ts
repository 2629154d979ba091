import { describe, expect, test } from 'vitest';
import { TokenizeCalls } from '../../../src/inference/tokenize.js';
import { model, never, numbers, start } from './dispatchers.js';
import { handle, newGate } from './workers/workers.js';

const asked = (...inputs: readonly string[]) => {
  const { digest, tokenizer } = handle('m');
  return { model: 'm', digest, tokenizer, inputs };
};

describe('texts to tokenize', () => {
  test('count as work of their worker, so that batches go to another one', async () => {
    const { pool, dispatcher } = await start();
    const calls = new TokenizeCalls(pool);
    const gate = newGate();
    const call = calls.tokenize(asked(gate.input), never());
    await gate.reached();
    expect(pool.workers.filter(({ idle }) => idle)).toHaveLength(1);
    const batches = Array.from({ length: 20 }, (_, at) =>
      dispatcher.submit(model(), [`${at}`], never()),
    );
    const answers = await Promise.all(batches);
    expect(answers.map((answer) => numbers(answer)[0])).toEqual(batches.map((_, at) => at));
    gate.open();
    expect((await call)[0]?.tokens[0]).toBe('gate');
  });

  test('take turns with batches on the only worker', async () => {
    const { pool, dispatcher } = await start({}, { count: 1 });
    const calls = new TokenizeCalls(pool);
    const [gate, runs] = [newGate(), newGate()];
    let isTokenized = false;
    const first = calls.tokenize(asked(gate.input), never());
    await gate.reached();
    const second = calls.tokenize(asked('a b'), never()).then(() => {
      isTokenized = true;
    });
    const batch = dispatcher.submit(model(), [runs.input], never());
    gate.open();
    // The call that waited was there first, but its kind has had its turn.
    await Promise.all([first, runs.reached()]);
    expect(isTokenized).toBe(false);
    runs.open();
    await Promise.all([batch, second]);
  });

  test('wait in a short line, and are refused beyond it', async () => {
    const { pool } = await start({}, { count: 1 });
    const calls = new TokenizeCalls(pool);
    const gate = newGate();
    const first = calls.tokenize(asked(gate.input), never());
    await gate.reached();
    const waiting = Array.from({ length: 8 }, () => calls.tokenize(asked('a'), never()));
    await expect(calls.tokenize(asked('a'), never())).rejects.toMatchObject({
      ...{ code: 'QUEUE_FULL', status: 503, retryAfterSeconds: 1 },
    });
    gate.open();
    await first;
    expect(await Promise.all(waiting)).toHaveLength(8);
  });

  test('whose caller leaves give up their place at once', async () => {
    const { pool } = await start({}, { count: 1 });
    const calls = new TokenizeCalls(pool);
    const gate = newGate();
    const leaving = [new AbortController(), new AbortController()];
    const first = calls.tokenize(asked(gate.input), leaving[0] ?? never());
    await gate.reached();
    const second = calls.tokenize(asked('hang'), leaving[1] ?? never());
    for (const controller of leaving) controller.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    await expect(second).rejects.toThrow('left');
    gate.open();
    expect(await calls.tokenize(asked('a'), never())).toHaveLength(1);
  });

  test('fail when their worker ends, and so do those that find none', async () => {
    const { pool } = await start({}, { count: 1, restartBackoffMs: 60_000 });
    const calls = new TokenizeCalls(pool);
    const gate = newGate();
    const all = [gate.input, 'a', 'a'].map((text) => calls.tokenize(asked(text, 'crash'), never()));
    const ends = Promise.allSettled(all);
    await gate.reached();
    gate.open();
    for (const end of await ends) expect(end).toMatchObject({ reason: { code: 'WORKER_LOST' } });
  });
});
