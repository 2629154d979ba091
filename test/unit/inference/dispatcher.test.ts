import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { model, never, numbers, processesOf, start } from './dispatchers.js';
import { handle, newGate, temporaryFolder, until } from './workers/workers.js';

const LONG_MS = 60_000;

describe('an answer', () => {
  test('joins what ran in many batches on many workers, in the order of the inputs', async () => {
    const { dispatcher, batches } = await start();
    const inputs = Array.from(
      { length: 50 },
      (_, index) => `${index}${' x'.repeat((index * 7) % 23)}`,
    );
    const answer = await dispatcher.submit(model(), inputs, never());
    expect(numbers(answer)).toEqual(inputs.map((_, index) => index));
    expect(processesOf(answer).size).toBe(2);
    expect(batches.length).toBeGreaterThanOrEqual(13);
    expect(batches.every(({ items }) => items <= 4)).toBe(true);
    expect(batches.reduce((sum, { items }) => sum + items, 0)).toBe(50);
    expect(answer.runMs).toBe(2 * batches.length);
    expect(answer.tokenizeMs).toBe(batches.length);
    expect(answer.queueMs).toBeGreaterThan(0);
    expect(dispatcher.waitingCount).toBe(0);
  });

  test('is its own, though requests share batches', async () => {
    const { dispatcher, batches } = await start({}, { count: 1 });
    const gate = newGate();
    const first = dispatcher.submit(model(), [gate.input], never());
    await gate.reached();
    const others = [1, 2, 3, 4].map((n) => dispatcher.submit(model(), [`${n}`], never()));
    gate.open();
    expect((await Promise.all(others)).map(numbers)).toEqual([[1], [2], [3], [4]]);
    await first;
    expect(batches.map(({ items }) => items)).toEqual([1, 4]);
  });

  test('says which inputs were cut', async () => {
    const { dispatcher } = await start();
    const answer = await dispatcher.submit(model(), ['1', '2 truncated'], never());
    expect(answer.rows.map(({ truncated }) => truncated)).toEqual([false, true]);
  });

  test('that leaves an input out is garbage, not a wrong answer', async () => {
    const { dispatcher } = await start();
    const run = dispatcher.submit(model(), ['short'], never());
    await expect(run).rejects.toMatchObject({ code: 'WORKER_LOST', retryAfterSeconds: 1 });
  });

  test('that a worker refuses is refused, and the worker takes the next one', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const refused = dispatcher.submit(model(), ['refuse'], never());
    await expect(refused).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    const broken = dispatcher.submit(model('b', 'broken'), ['1'], never());
    await expect(broken).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    expect(numbers(await dispatcher.submit(model(), ['7'], never()))).toEqual([7]);
  });
});

describe('a worker that dies', () => {
  test('costs nobody an answer: its batch runs again elsewhere', async () => {
    const { dispatcher, batches, pool } = await start();
    const file = path.join(temporaryFolder(), 'crashed');
    const answer = await dispatcher.submit(model(), [`crash-once ${file}`, '1', '2', '3'], never());
    expect(numbers(answer)).toEqual([0, 1, 2, 3]);
    expect(batches.some(({ retried }) => retried)).toBe(true);
    await until(() => pool.workers.filter(({ idle }) => idle).length === 2);
  });

  test('when it is the only one, its batch waits for the next', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const file = path.join(temporaryFolder(), 'crashed');
    const answer = await dispatcher.submit(model(), [`crash-once ${file}`], never());
    expect(answer.rows).toHaveLength(1);
  });

  test('does not take the neighbours of the input that ended it', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const gate = newGate();
    const first = dispatcher.submit(model(), [gate.input], never());
    await gate.reached();
    // All of them run together once the first is answered.
    const bad = dispatcher.submit(model(), ['crash'], never());
    const good = [1, 2, 3].map((n) => dispatcher.submit(model(), [`${n}`], never()));
    gate.open();
    await first;
    await expect(bad).rejects.toMatchObject({ code: 'INPUT_REFUSED' });
    const answers = await Promise.all(good);
    expect(answers.map(numbers)).toEqual([[1], [2], [3]]);
  });

  test('again and again over one input: that input is refused, and the server goes on', async () => {
    const { dispatcher } = await start();
    const lost = dispatcher.submit(model(), ['1', 'crash'], never());
    await expect(lost).rejects.toMatchObject({
      code: 'INPUT_REFUSED',
      message: expect.stringMatching(/^inputs\[1\] ended 3 workers that ran it; it is refused/),
    });
    expect(numbers(await dispatcher.submit(model(), ['8'], never()))).toEqual([8]);
    expect(dispatcher.isWanted('m')).toBe(false);
  });

  test('because it stood still is nobody’s fault', async () => {
    const { dispatcher } = await start({ batchTimeoutMs: 100 }, { count: 1 });
    const lost = dispatcher.submit(model(), ['hang'], never());
    await expect(lost).rejects.toMatchObject({ code: 'WORKER_LOST', retryAfterSeconds: 1 });
  });

  test('again and again under load, nothing is lost and nothing is mixed up', async () => {
    const { dispatcher, pool } = await start();
    const answers = Array.from({ length: 30 }, (_, n) =>
      dispatcher.submit(model(), [`${n}`, `${n + 1000} longer`], never()),
    );
    // One death: each input may meet one and is then run again.
    pool.workers[0]?.kill();
    for (const [n, answer] of (await Promise.all(answers)).entries()) {
      expect(numbers(answer)).toEqual([n, n + 1000]);
    }
  });
});

describe('a worker that answers garbage', () => {
  test('is replaced, and its rows run again elsewhere', async () => {
    const deaths: string[] = [];
    const changes = { onDeath: (_worker: unknown, reason: string) => void deaths.push(reason) };
    const { dispatcher } = await start({}, { count: 1, ...changes });
    const file = path.join(temporaryFolder(), 'once');
    const answer = await dispatcher.submit(model(), [`garbage-once ${file}`, '5'], never());
    expect(numbers(answer)).toEqual([0, 5]);
    expect(deaths).toEqual(['answered "run" with another shape']);
  });

  test.each(['null', 'id', 'code', 'text', 'shape'])(
    'of whatever kind costs its own request only: %s',
    async (kind) => {
      const { dispatcher } = await start({}, { count: 1 });
      const garbled = dispatcher.submit(model(), [`garbage ${kind}`], never());
      const good = dispatcher.submit(model(), ['7'], never());
      await expect(garbled).rejects.toMatchObject({ code: 'WORKER_LOST', retryAfterSeconds: 1 });
      expect(numbers(await good)).toEqual([7]);
    },
  );
});

describe('behind other work of its worker', () => {
  test.each([
    ['a tokenize', 'tokenize'],
    ['the load of another model', 'load'],
  ])('that overruns, no text is blamed: %s', async (_, kind) => {
    const { dispatcher, pool } = await start({}, { count: 1 });
    const [worker] = pool.workers;
    if (worker === undefined) throw new Error('no worker');
    const gate = newGate();
    const first = worker.run(handle('m'), [gate.input], { timeoutMs: LONG_MS, expectedMs: 1 });
    await gate.reached();
    const limit = { budgetMs: 200, hardMs: LONG_MS };
    const tokenizer = handle('m').tokenizer;
    const asked = { type: 'tokenize', model: 'm', digest: 'd', tokenizer } as const;
    const work =
      kind === 'tokenize'
        ? worker.tokenize({ ...asked, inputs: ['burn'], mostTokens: 100 }, limit)
        : worker.load(handle('other', { graphFile: 'crash' }));
    const behind = worker.run(handle('m'), ['1'], { timeoutMs: LONG_MS, expectedMs: 1 });
    const ends = Promise.allSettled([work, behind]);
    gate.open();
    await first;
    const [ofWork, ofBatch] = await ends;
    expect(ofWork).toMatchObject({ reason: { stage: 'running' } });
    expect(ofBatch).toMatchObject({ reason: { stage: 'not begun' } });
    // The dispatcher sends nothing behind such work, and answers the same text elsewhere.
    expect(numbers(await dispatcher.submit(model(), ['1'], never()))).toEqual([1]);
  });

  test('a model that ends workers while they open it blames no text, and is set aside', async () => {
    const refusals: string[] = [];
    const onRefusal = ({ what }: { readonly what: string }) => void refusals.push(what);
    const { dispatcher } = await start({ onRefusal });
    const run = dispatcher.submit(model('b', 'crash'), ['1'], never());
    await expect(run).rejects.toMatchObject({ retryable: true });
    const next = dispatcher.submit(model('b', 'crash'), ['2'], never());
    await expect(next).rejects.toMatchObject({ code: 'MODEL_UNUSABLE', retryable: true });
    expect(refusals).toEqual(['model']);
  });
});

describe('behind a short batch', () => {
  /** Inputs so long that each runs alone. */
  const long = (word: string) => `${word}${' x'.repeat(300)}`;
  /** Enough batches to know that they are short, even where the first ones were not. */
  const learn = async ({ dispatcher, batches }: Awaited<ReturnType<typeof start>>) => {
    for (let n = 0; n < 40; n += 1) await dispatcher.submit(model(), [long(`${n}`)], never());
    return batches.length;
  };

  test('the next one is in the pipe already; nobody is kept waiting there for a long one', async () => {
    const parts = await start({}, { count: 1 });
    const { dispatcher, batches, pool } = parts;
    const before = await learn(parts);
    const all = [4, 5, 6, 7].map((n) =>
      dispatcher.submit(model(), [long(`${n}`)], never(), `user ${n}`),
    );
    expect(pool.workers.map(({ capacity }) => capacity)).toEqual(['none']);
    // One runs, one is in the pipe, and two wait.
    expect(dispatcher.waitingCount).toBe(2);
    expect((await Promise.all(all)).map(numbers)).toEqual([[4], [5], [6], [7]]);
    expect(batches.length).toBe(before + 4);
  });

  test('it is not charged with the end of the worker', async () => {
    const parts = await start({}, { count: 1 });
    const { dispatcher } = parts;
    await learn(parts);
    const bad = dispatcher.submit(model(), ['crash'], never(), 'bad');
    const good = [4, 5, 6].map((n) =>
      dispatcher.submit(model(), [long(`${n}`)], never(), `user ${n}`),
    );
    // One of them may be in the pipe behind the bad one: it is lost with the worker, and runs again.
    expect(dispatcher.waitingCount).toBeLessThanOrEqual(3);
    await expect(bad).rejects.toMatchObject({ code: 'INPUT_REFUSED' });
    expect((await Promise.all(good)).map(numbers)).toEqual([[4], [5], [6]]);
    // A text that was charged would be refused for a while.
    const again = [4, 5, 6].map((n) => dispatcher.submit(model(), [long(`${n}`)], never()));
    expect((await Promise.all(again)).map(numbers)).toEqual([[4], [5], [6]]);
  });
});

describe('replacing workers under load', () => {
  test('no request is lost, and the old processes answer no more', async () => {
    const { dispatcher, pool } = await start();
    const oldPids = pool.workers.map(({ pid }) => pid);
    let isOver = false;
    let answered = 0;
    const users = [0, 1, 2, 3].map(async (user) => {
      for (let n = user * 10_000; !isOver; n += 1) {
        expect(numbers(await dispatcher.submit(model(), [`${n}`], never()))).toEqual([n]);
        answered += 1;
      }
    });
    for (const old of pool.workers) await pool.replace(old, 'start first');
    isOver = true;
    await Promise.all(users);
    expect(answered).toBeGreaterThan(4);
    const after = await dispatcher.submit(model(), ['1', '2'], never());
    for (const pid of processesOf(after)) expect(oldPids).not.toContain(pid);
  });
});

describe('a caller who leaves', () => {
  test('before anything began gets the reason, and no input waits', async () => {
    const { dispatcher, batches } = await start();
    const reason = new Error('left');
    await expect(
      dispatcher.submit(model(), ['1'], { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect(dispatcher.waitingCount).toBe(0);
    expect(batches).toEqual([]);
  });

  test('while the inputs wait takes them out of the queue', async () => {
    const { dispatcher, batches } = await start({}, { count: 1 });
    const gate = newGate();
    const running = dispatcher.submit(model(), [gate.input], never());
    await gate.reached();
    const leaver = new AbortController();
    const waiting = dispatcher.submit(model('other'), ['1', '2'], leaver);
    expect(dispatcher.waitingCount).toBe(2);
    expect(dispatcher.isWanted('other')).toBe(true);
    leaver.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    expect(dispatcher.waitingCount).toBe(0);
    expect(dispatcher.isWanted('other')).toBe(false);
    gate.open();
    await running;
    expect(batches.map((batch) => batch.model)).toEqual(['m']);
  });

  test('while a batch runs does not disturb the others in it', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const [before, shared] = [newGate(), newGate()];
    const first = dispatcher.submit(model(), [before.input], never());
    await before.reached();
    const leaver = new AbortController();
    const leaving = dispatcher.submit(model(), [shared.input], leaver);
    const staying = dispatcher.submit(model(), ['5'], never());
    before.open();
    await first;
    await shared.reached();
    leaver.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    expect(dispatcher.isWanted('m')).toBe(true);
    shared.open();
    expect(numbers(await staying)).toEqual([5]);
  });

  test('between two batches of one request: the rest never runs', async () => {
    const { dispatcher, batches } = await start(
      { limits: { maxItems: 1, maxSize: 1000 } },
      { count: 1 },
    );
    const gate = newGate();
    const leaver = new AbortController();
    const leaving = dispatcher.submit(model(), [gate.input, '1', '2'], leaver);
    await gate.reached();
    leaver.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    gate.open();
    await until(() => !dispatcher.isWanted('m'));
    expect(batches).toHaveLength(1);
  });

  test('whose worker then dies does not come back', async () => {
    const { dispatcher, pool } = await start({}, { count: 1 });
    const gate = newGate();
    const leaver = new AbortController();
    const leaving = dispatcher.submit(model(), [gate.input], leaver);
    await gate.reached();
    leaver.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    const [worker] = pool.workers;
    worker?.kill();
    await worker?.exited();
    await until(() => !dispatcher.isWanted('m'));
    expect(dispatcher.waitingCount).toBe(0);
  });

  test('because the deadline is over gets that as the reason', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const late = dispatcher.submit(model(), ['hang'], { signal: AbortSignal.timeout(100) });
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('the queue', () => {
  test('refuses what does not fit, with a hint when to retry, and takes what does', async () => {
    const { dispatcher } = await start({ maxWaiting: 3 }, { count: 1 });
    const gate = newGate();
    const running = dispatcher.submit(model(), [gate.input], never());
    await gate.reached();
    const two = dispatcher.submit(model(), ['1', '2'], never());
    const refused = dispatcher.submit(model(), ['3', '4'], never());
    await expect(refused).rejects.toMatchObject({ code: 'QUEUE_FULL', retryAfterSeconds: 1 });
    const one = dispatcher.submit(model(), ['5'], never());
    expect(dispatcher.waitingCount).toBe(3);
    gate.open();
    expect((await Promise.all([two, one])).map(numbers)).toEqual([[1, 2], [5]]);
    await running;
  });
});

describe('loading and unloading', () => {
  test('a load opens the model in every worker once, and tells of it', async () => {
    const { dispatcher, loads } = await start();
    await dispatcher.load(model());
    await dispatcher.load(model());
    expect([...loads].sort()).toEqual(['m in worker-1', 'm in worker-2']);
    await dispatcher.submit(model(), ['1', '2'], never());
    expect(loads).toHaveLength(2);
  });

  test('a load of a model that cannot be opened says so', async () => {
    const { dispatcher } = await start();
    const load = dispatcher.load(model('b', 'broken'));
    await expect(load).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
  });

  test('an unload releases it everywhere and says what came back; a run then loads it again', async () => {
    const { dispatcher, pool, loads } = await start();
    await dispatcher.load(model());
    const released = await dispatcher.unload('m');
    expect(released.map(({ worker, freedBytes }) => [worker, freedBytes])).toEqual([
      ['worker-1', 42],
      ['worker-2', 42],
    ]);
    expect(pool.workers.every(({ loaded }) => loaded.size === 0)).toBe(true);
    expect(await dispatcher.unload('m')).toEqual([]);
    expect(numbers(await dispatcher.submit(model(), ['6'], never()))).toEqual([6]);
    expect(loads).toHaveLength(3);
  });

  test('is refused while someone waits for the model or it runs', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    const gate = newGate();
    const running = dispatcher.submit(model(), [gate.input], never());
    const waiting = dispatcher.submit(model('other'), ['1'], never());
    await gate.reached();
    expect(await dispatcher.unload('m')).toEqual([]);
    expect(await dispatcher.unload('other')).toEqual([]);
    gate.open();
    await Promise.all([running, waiting]);
    expect(await dispatcher.unload('m')).toHaveLength(1);
  });

  test('a request that comes while its model is unloaded is answered all the same', async () => {
    const { dispatcher } = await start({}, { count: 1 });
    await dispatcher.load(model());
    const unloading = dispatcher.unload('m');
    const answer = await dispatcher.submit(model(), ['9'], never());
    expect(numbers(answer)).toEqual([9]);
    expect(await unloading).toHaveLength(1);
  });

  test('a model whose files have changed is opened anew', async () => {
    const { dispatcher, loads } = await start({}, { count: 1 });
    await dispatcher.submit(model(), ['1'], never());
    await dispatcher.submit(model('m', 'folder', 'digest-2'), ['1'], never());
    expect(loads).toHaveLength(2);
  });
});
