/** A model that is replaced, or whose form is, while requests wait for it. */
import { describe, expect, test } from 'vitest';
import { PlimsollError } from '../../../src/errors.js';
import { onWholeForm, ReplacedModel } from '../../../src/inference/damaged-forms.js';
import type { ModelLibrary, ReadyModel } from '../../../src/models/library.js';
import { model, never, numbers, start } from './dispatchers.js';
import { handle, newGate } from './workers/workers.js';

const [OLD, NEW] = [model(), model('m', 'form-2/model.onnx', 'digest-2')];
const LONG_MS = 60_000;

describe('rows of two forms of a model', () => {
  test.each(['submit', 'submitJob'] as const)('never share a batch: %s', async (submit) => {
    const { dispatcher, batches, loads } = await start({}, { count: 1 });
    const ask = (ready: ReadyModel, inputs: readonly string[]) => {
      const keyed = { keys: inputs, onResult: () => undefined };
      return dispatcher[submit](ready, inputs, never(), 'user', keyed);
    };
    const gate = newGate();
    const first = ask(OLD, [gate.input]);
    await gate.reached();
    const waiting = [ask(OLD, ['1', '2']), ask(NEW, ['3', '4'])];
    gate.open();
    await first;
    const answers = await Promise.all(waiting);
    expect(answers.map(numbers)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(batches.reduce((sum, { items }) => sum + items, 0)).toBe(5);
    // Each ran on its own form, which the worker had to open for it.
    expect(loads).toHaveLength(2);
  });
});

test('who came while the only worker was taken for something else is served when it is free again', async () => {
  const gate = newGate();
  const { pool, dispatcher } = await start(
    {
      onAnswered: (_ready, _count, { input }) => {
        if (input !== 'compare') return undefined;
        const [worker] = pool.workers;
        return worker
          ?.run(handle('other'), [gate.input], { timeoutMs: LONG_MS })
          .then(() => undefined);
      },
    },
    { count: 1 },
  );
  await dispatcher.submit(OLD, ['compare'], never());
  await gate.reached();
  const answer = dispatcher.submit(OLD, ['5'], never());
  gate.open();
  expect(numbers(await answer)).toEqual([5]);
});

test('a request whose model was replaced does not go on with the keys of the version before', async () => {
  const library = {
    removeIfDamaged: async () => true,
    ready: async () => NEW,
  } as unknown as ModelLibrary;
  const ran: string[] = [];
  const run = onWholeForm(library, OLD, never(), async ({ form }) => {
    ran.push(form.digest);
    throw new PlimsollError('FORM_REPLACED', 'replaced');
  });
  await expect(run).rejects.toBeInstanceOf(ReplacedModel);
  await expect(run).rejects.toMatchObject({ ready: NEW });
  expect(ran).toEqual(['digest-1']);
});
