import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MappedForms } from '../../../../src/models/compile/mapped-form.js';
import { halve } from '../../../../src/models/compile/quantise/halve.js';
import { quantise } from '../../../../src/models/compile/quantise/quantise.js';
import { usualPlan } from '../../../../src/models/run/bindings.js';
import { MappedSession, writeMappedGraph } from '../../../../src/models/run/onnx-session.js';
import { hasNotRun } from '../../../../src/models/run/scores.js';
import { aModel, plainFindings } from '../described.js';
import { temporaryFolder } from '../folders.js';

const BUNDLED = fileURLToPath(new URL('../../../../models/spam/onnx/model.onnx', import.meta.url));
const ROWS = [[2, 77, 500, 1200, 3], [2, 9, 3], Array.from({ length: 60 }, (_, at) => 5 + at * 11)];
const BATCH = ROWS.map((ids) => ({ ids, truncated: false }));

type Convert = (model: Buffer) => readonly Uint8Array[];

/** Logits of the model's mapped form in both gears, and its weights in the kernels' layout. */
async function logitsOf(convert: Convert) {
  const folder = temporaryFolder();
  const source = path.join(folder, 'source.onnx');
  await writeFile(source, Buffer.concat(convert(await readFile(BUNDLED))));
  const graph = path.join(folder, 'model.onnx');
  await writeMappedGraph(source, graph, 'weights.bin');
  const logits: Record<string, readonly number[]> = {};
  for (const gear of ['cold', 'hot'] as const) {
    const session = await MappedSession.open(graph, { threads: 1, arena: false, gear });
    logits[gear] = [...(await session.run(BATCH, usualPlan(session, 2)))];
    await session.release();
  }
  const { size } = await stat(path.join(folder, 'weights.bin'));
  return { cold: logits.cold ?? [], hot: logits.hot ?? [], size, folder };
}

function distance(left: readonly number[], right: readonly number[]): number {
  expect(left).toHaveLength(right.length);
  return Math.max(...left.map((value, at) => Math.abs(value - (right[at] ?? Number.NaN))));
}

const asItIs: Convert = (model) => [model];

describe('a mapped model', () => {
  test('gives the same logits in both gears, and holds both layouts', async () => {
    const { cold, hot, size, folder } = await logitsOf(asItIs);
    expect(cold).toHaveLength(2 * ROWS.length);
    expect(distance(cold, hot)).toBeLessThan(1e-4);
    const forms = new MappedForms(temporaryFolder(), 'runtime');
    const model = aModel('m', { directory: folder });
    await mkdir(forms.folderOf(model), { recursive: true });
    const { footprint } = await forms.publish(model, folder, {
      ...{ digest: 'd'.repeat(64), findings: plainFindings(), files: [] },
    });
    const products = (await stat(BUNDLED)).size - 8192 * 128 * 4;
    // Every product's weights a second time, and nothing else.
    expect(footprint.prepackedBytes).toBeGreaterThan(products * 0.8);
    expect(footprint.prepackedBytes).toBeLessThan(products * 1.1);
    expect(size - footprint.prepackedBytes).toBeLessThan((await stat(BUNDLED)).size * 1.05);
  });

  test.each<[string, Convert, number]>([
    ['q8', quantise, 0.2],
    ['fp16 with float32 outputs', (model) => halve(model), 0.02],
    ['fp16 with float16 outputs', (model) => halve(model, 'float16'), 0.02],
  ])('in %s gives nearly those of fp32', async (_name, convert, most) => {
    const [exact, other] = [await logitsOf(asItIs), await logitsOf(convert)];
    expect(distance(other.cold, other.hot)).toBeLessThan(1e-3);
    expect(distance(other.cold, exact.cold)).toBeLessThan(most);
    expect(distance(other.cold, exact.cold)).toBeGreaterThan(0);
  });
});

test('a run that is stopped ends with its present batch, and says which rows did not run', async () => {
  const folder = temporaryFolder();
  const graph = path.join(folder, 'model.onnx');
  await writeMappedGraph(BUNDLED, graph, 'weights.bin');
  const session = await MappedSession.open(graph, { threads: 1, arena: false });
  const plan = usualPlan(session, 2);
  const whole = await session.run(BATCH, plan);
  let batches = 0;
  const isStopped = () => {
    batches += 1;
    return batches === 2;
  };
  const bounds = { rows: 1, tokens: 512, isStopped };
  const logits = await session.run(BATCH, plan, bounds);
  await session.release();
  const own = (of: typeof logits, row: number) => of.subarray(2 * row, 2 * row + 2);
  // The shortest run first, so it is the longest that is left.
  expect(hasNotRun(own(logits, 2))).toBe(true);
  for (const row of [0, 1]) {
    expect(hasNotRun(own(logits, row))).toBe(false);
    expect(distance([...own(logits, row)], [...own(whole, row)])).toBeLessThan(1e-4);
  }
});
