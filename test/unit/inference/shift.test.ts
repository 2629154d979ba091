import { expect, onTestFinished, test } from 'vitest';
import { Dispatcher } from '../../../src/inference/dispatcher.js';
import { shiftGear } from '../../../src/inference/shift.js';
import { WorkerPool } from '../../../src/inference/workers/pool.js';
import { LoadAdmission } from '../../../src/memory/admission.js';
import type { ReadyModel } from '../../../src/models/library.js';
import { aModel, plainFindings } from '../models/described.js';
import { fixture, newGate } from './workers/workers.js';

const LONG_MS = 60_000;

function model(id: string): ReadyModel {
  return {
    model: aModel(id, { labels: ['a', 'b', 'c'] }),
    form: {
      ...{ directory: 'form', graphFile: 'form/model.onnx', digest: 'd' },
      ...{ findings: plainFindings(3), instance: 'd', files: [] },
      footprint: { sourceBytes: 1, mappedBytes: 1, prepackedBytes: 1 },
    },
  };
}

async function start(count: number) {
  const pool = new WorkerPool({
    ...{ count, module: fixture('echo'), startTimeoutMs: LONG_MS },
    ...{ restartBackoffMs: 1, graceMs: LONG_MS, log: () => undefined },
    onChange: () => dispatcher.pump(),
    onDeath: () => undefined,
  });
  onTestFinished(() => pool.stop());
  const dispatcher = new Dispatcher({
    ...{ pool, threads: 1, maxWaiting: 100, maxWaitingOfUser: 100 },
    ...{ deadlineMs: LONG_MS, batchTimeoutMs: LONG_MS, limits: { maxItems: 4, maxSize: 1000 } },
    admission: new LoadAdmission({
      figures: () => ({ loadBytes: 0, lineBytes: 1e12 }),
      makeRoom: async () => undefined,
    }),
    ...{ onArrival: () => undefined, onBatch: () => undefined, onLoad: () => undefined },
  });
  const library = { ready: async (id: string) => model(id) };
  await pool.start();
  const run = async (id: string, input: string) => {
    const answer = await dispatcher.submit(model(id), [input], new AbortController());
    return answer.rows[0]?.scores[1];
  };
  const shift = (worker: string, id: string) =>
    shiftGear({ pool, dispatcher, library }, worker, id, LONG_MS);
  return { pool, run, shift };
}

test('another worker opens the model first and answers; the hot one is asked from then on', async () => {
  const { pool, run, shift } = await start(2);
  const gate = newGate();
  const holder = await run(gate.input, '1');
  const worker = pool.workers.find(({ pid }) => pid === holder);
  const shifting = shift(worker?.id ?? '', gate.input);
  await gate.reached();
  expect(await run(gate.input, '2')).not.toBe(holder);
  gate.open();
  expect(await shifting).toBeDefined();
  expect(pool.workers.map(({ loaded }) => loaded.get(gate.input)?.gear).sort()).toEqual([
    'cold',
    'hot',
  ]);
  for (let round = 0; round < 3; round += 1) expect(await run(gate.input, '3')).toBe(holder);
});

test('nothing is shifted where nobody can answer meanwhile', async () => {
  const alone = await start(1);
  await alone.run('m', '1');
  expect(await alone.shift('worker-1', 'm')).toBeUndefined();
  const both = await start(2);
  const holder = await both.run('m', '1');
  const worker = both.pool.workers.find(({ pid }) => pid === holder);
  const gate = newGate();
  const busy = [both.run('n', gate.input), both.run('n', gate.input)];
  await gate.reached();
  expect(await both.shift(worker?.id ?? '', 'm')).toBeUndefined();
  expect(await both.shift('worker-9', 'm')).toBeUndefined();
  expect(await both.shift(worker?.id ?? '', 'never loaded')).toBeUndefined();
  gate.open();
  await Promise.all(busy);
});
