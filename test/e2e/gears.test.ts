import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Models, ModelView } from '../../src/contract/models.js';
import type { Receipts } from '../../src/contract/receipts.js';
import { halveFile } from '../../src/models/compile/quantise/halve.js';
import { quantiseFile } from '../../src/models/compile/quantise/quantise.js';
import {
  classify,
  get,
  post,
  run,
  type Server,
  startServer,
  temporaryFolder,
  topLabel,
  until,
} from './harness.js';
import { copyModel } from './model-folders.js';
import { textNumber } from './texts.js';

const texts = Array.from({ length: 40 }, (_, index) => textNumber(index));
let models: string;
let data: string;

const start = (settings: Readonly<Record<string, string | number>> = {}) =>
  startServer({ models, data, settings: { 'cache.max_size': 0, ...settings } });

async function viewOf(server: Server, id: string): Promise<ModelView> {
  const all = await get<Models>(server, '/v1/models');
  const found = all.models.find((model) => model.id === id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}

const gearsOf = async (server: Server, id: string) =>
  (await viewOf(server, id)).workers.map(({ state }) => state);

beforeAll(async () => {
  models = await temporaryFolder();
  data = `${await temporaryFolder()}/data`;
  await copyModel(models, 'plain');
  const both = await copyModel(models, 'both');
  const onnx = path.join(both, 'onnx');
  await quantiseFile(path.join(onnx, 'model.onnx'), path.join(onnx, 'model_quantized.onnx'));
  const listed = await run([
    ...['models', '--prepare', '--dtype', 'fp32', '--models', models, '--data', data],
  ]);
  expect(listed.code, listed.stdout).toBe(0);
});

describe('the hot gear', () => {
  test('is reached in each worker, gives the same scores, and ends with the unload', async () => {
    const server = await start({ 'worker.count': 2, 'models.gear': 'hot' });
    const cold = await start({ 'worker.count': 2, 'models.gear': 'cold' });
    expect((await viewOf(server, 'plain')).workers.map(({ state }) => state)).toEqual([
      'unloaded',
      'unloaded',
    ]);
    await post(server, '/v1/models/plain/load');
    // Asked all the while: a model that nobody asks for would be unloaded.
    await until('both are hot', async () => {
      await classify(server, texts.slice(0, 1), { model: 'plain' });
      return (await gearsOf(server, 'plain')).every((state) => state === 'hot');
    });
    const [hotAnswer, coldAnswer] = [
      await classify(server, texts, { model: 'plain' }),
      await classify(cold, texts, { model: 'plain' }),
    ];
    expect((await gearsOf(cold, 'plain')).every((state) => state !== 'hot')).toBe(true);
    for (const [index, result] of hotAnswer.results.entries()) {
      for (const { label, score } of result) {
        const other = coldAnswer.results[index]?.find((of) => of.label === label);
        expect(Math.abs(score - (other?.score ?? 9))).toBeLessThan(1e-4);
      }
    }
    const { receipts } = await get<Receipts>(server, '/v1/receipts?kind=shift');
    expect(receipts.flatMap(({ actions }) => actions.map(({ action }) => action))).toEqual([
      'shift',
      'shift',
    ]);
    const metrics = await get<string>(server, '/metrics');
    expect(metrics).toContain('plimsoll_model_shifts_total{model="plain"} 2');
    await post(server, '/v1/models/plain/unload');
    expect(await gearsOf(server, 'plain')).not.toContain('hot');
    await Promise.all([server.stop(), cold.stop()]);
  });

  test('of a lone worker is reached by its successor, and nobody notices', async () => {
    const server = await start({ 'worker.count': 1, 'models.gear': 'hot' });
    let failed = 0;
    let isHot = false;
    const asking = (async () => {
      for (let number = 0; !isHot; number += 1) {
        await classify(server, [textNumber(number)], { model: 'plain' }).catch(() => {
          failed += 1;
        });
      }
    })();
    await until('it is hot', async () => (await gearsOf(server, 'plain')).includes('hot'));
    isHot = true;
    await asking;
    expect(failed).toBe(0);
    expect((await viewOf(server, 'plain')).workers[0]?.worker).not.toBe('worker-1');
    await server.stop();
  });
});

describe('quantised weights', () => {
  test('are taken where they are asked for, and say what the others say', async () => {
    const [q8, fp32] = [await start({ 'models.dtype': 'q8' }), await start()];
    expect((await viewOf(q8, 'both')).dtype).toBe('q8');
    expect((await viewOf(fp32, 'both')).dtype).toBe('fp32');
    const [quantised, exact] = [
      await classify(q8, texts, { model: 'both' }),
      await classify(fp32, texts, { model: 'both' }),
    ];
    const same = quantised.results.filter(
      (result, index) => topLabel(result) === topLabel(exact.results[index] ?? []),
    );
    expect(same.length).toBeGreaterThanOrEqual(texts.length - 1);
    expect(quantised.results).not.toEqual(exact.results);
    const bytes = await Promise.all([q8, fp32].map((server) => viewOf(server, 'both')));
    expect(bytes[0]?.mapped_mb ?? 9).toBeLessThan((bytes[1]?.mapped_mb ?? 0) / 3);
    await Promise.all([q8.stop(), fp32.stop()]);
  });

  test('of half precision are served too, and say the same', async () => {
    const folder = await copyModel(models, 'half');
    const onnx = path.join(folder, 'onnx');
    await halveFile(path.join(onnx, 'model.onnx'), path.join(onnx, 'model_fp16.onnx'));
    const server = await start({ 'models.dtype': 'fp16' });
    const halves = await classify(server, texts, { model: 'half' });
    await server.stop();
    const exact = await start({ 'models.dtype': 'fp32' });
    const singles = await classify(exact, texts, { model: 'half' });
    await exact.stop();
    expect(halves.results.map(topLabel)).toEqual(singles.results.map(topLabel));
  });

  test('that were asked for and are not there make the model unusable, and say so', async () => {
    const listed = await run(['models', '--dtype', 'q8', '--models', models, '--data', data]);
    expect(listed.code).toBe(1);
    expect(listed.stdout).toContain('plain: broken: it has no onnx/model_quantized.onnx');
    expect(listed.stdout).toContain('both: text-classification, 2 labels, q8');
  });

  test('that are broken are refused as any model is', async () => {
    const folder = await copyModel(models, 'broken');
    const onnx = path.join(folder, 'onnx');
    await mkdir(onnx, { recursive: true });
    await rename(path.join(onnx, 'model.onnx'), path.join(onnx, 'model_fp16.onnx'));
    await writeFile(path.join(onnx, 'model_fp16.onnx'), 'half a graph');
    const listed = await run(['models', '--prepare', '--models', models, '--data', data]);
    expect(listed.code).toBe(1);
    expect(listed.stdout).toMatch(
      /^broken: broken: .*model_fp16\.onnx.* cannot be read as an ONNX graph/m,
    );
  });
});
