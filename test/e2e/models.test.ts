import { rm } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Models, ModelView } from '../../src/contract/models.js';
import {
  classify,
  get,
  post,
  request,
  run,
  type Server,
  startServer,
  temporaryFolder,
  topLabel,
  until,
} from './harness.js';
import { changeConfig, copyModel, formsOf } from './model-folders.js';
import { expectError } from './shapes.js';
import { labelsOf, SPAM, textNumber } from './texts.js';

const labels = labelsOf(SPAM);
const texts = Array.from({ length: 6 }, (_, index) => textNumber(index));
let models: string;
let data: string;

const start = (settings: Readonly<Record<string, string | number>> = {}) =>
  startServer({ models, data, settings });
const preparations = (server: Server, id: string) =>
  server.logs.filter(({ msg, model }) => msg.startsWith('preparing') && model === id).length;
const stateOf = async (server: Server, id: string) => {
  const all = await get<Models>(server, '/v1/models');
  return all.models.find((model) => model.id === id);
};

beforeAll(async () => {
  models = await temporaryFolder();
  data = `${await temporaryFolder()}/data`;
  await copyModel(models, 'org/name');
  await copyModel(models, 'plain');
});

describe('the models folder', () => {
  test('names a model by its path, also with a slash', async () => {
    const server = await start();
    const { models: listed } = await get<Models>(server, '/v1/models');
    expect(listed.map(({ id }) => id)).toEqual(['org/name', 'plain']);
    const answer = await classify(server, texts, { model: 'org/name' });
    expect(answer.model).toBe('org/name');
    expect((await post<ModelView>(server, '/v1/models/org/name/load')).state).toBe('loaded');
    expect((await post<ModelView>(server, '/v1/models/org/name/unload')).state).toBe('unloaded');
    expect((await post<ModelView>(server, '/v1/models/org%2Fname/load')).id).toBe('org/name');
    const other = await classify(server, texts, { model: 'plain' });
    expect(other.results.map(topLabel)).toEqual(answer.results.map(topLabel));
    await until(
      'both have been measured',
      async () => (await stateOf(server, 'plain'))?.private_mb,
    );
    await server.stop();
  });

  test('a mapped form is used again after a restart, with what was measured', async () => {
    const before = await formsOf(data, 'org/name');
    expect(before).toHaveLength(1);
    const server = await start();
    await classify(server, texts, { model: 'org/name' });
    expect(preparations(server, 'org/name')).toBe(0);
    expect(await formsOf(data, 'org/name')).toEqual(before);
    expect(await stateOf(server, 'org/name')).toMatchObject({
      mapped_mb: expect.any(Number),
      load_ms: expect.any(Number),
      private_mb: expect.any(Number),
    });
    await server.stop();
  });

  test('a model that is changed while it runs is made anew, beside the old form', async () => {
    const server = await start();
    const first = await classify(server, texts, { model: 'org/name' });
    const [old] = await formsOf(data, 'org/name');
    const renamed = Object.fromEntries(labels.map((label, index) => [index, `new ${label}`]));
    await changeConfig(`${models}/org/name`, (config) => ({ ...config, id2label: renamed }));
    const changed = await until('the new labels show', async () => {
      const answer = await classify(server, texts, { model: 'org/name' });
      return topLabel(answer.results[0]).startsWith('new ') ? answer : undefined;
    });
    expect(changed.results.map(topLabel)).toEqual(
      first.results.map((result) => `new ${topLabel(result)}`),
    );
    // Another server may still have the old files: its form goes when nobody has used it for long.
    const forms = await formsOf(data, 'org/name');
    expect(forms).toHaveLength(2);
    expect(forms).toContainEqual(old);
    expect((await stateOf(server, 'org/name'))?.labels).toEqual(Object.values(renamed));
    await server.stop();
  });

  test('a change under load fails no request', async () => {
    const server = await start({ 'cache.max_size': '0' });
    await classify(server, texts, { model: 'plain' });
    const failures: string[] = [];
    let over = false;
    const users = Array.from({ length: 4 }, async (_, user) => {
      while (!over) {
        await classify(server, textNumber(user), { model: 'plain', user: `user-${user}` }).catch(
          (error: unknown) => failures.push(String(error)),
        );
      }
    });
    for (let change = 1; change <= 3; change += 1) {
      const renamed = Object.fromEntries(labels.map((_, index) => [index, `L${change}-${index}`]));
      await changeConfig(`${models}/plain`, (config) => ({ ...config, id2label: renamed }));
      await until('the new labels show', async () => {
        const { results } = await classify(server, texts[0] ?? '', { model: 'plain' });
        return topLabel(results[0]).startsWith(`L${change}-`) || undefined;
      });
    }
    over = true;
    await Promise.all(users);
    expect(failures).toEqual([]);
    await server.stop();
  });

  test('a model that is added is found, one that is removed is gone', async () => {
    const server = await start();
    const body = { inputs: 'a', model: 'added/later' };
    expectError(await request(server, 'POST', '/v1/classify', { body }), 'MODEL_NOT_FOUND');
    await copyModel(models, 'added/later');
    expect((await classify(server, 'a', { model: 'added/later' })).model).toBe('added/later');
    expect((await stateOf(server, 'added/later'))?.state).toBe('loaded');
    await rm(`${models}/added`, { recursive: true });
    await until('it is not found any more', async () => {
      const { status } = await request(server, 'POST', '/v1/classify', { body });
      return status === 404;
    });
    expect(await stateOf(server, 'added/later')).toBeUndefined();
    await server.stop();
  });

  test('requests that come first share one preparation', async () => {
    const server = await startServer({ models, settings: { 'worker.count': 2 } });
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, user) =>
        classify(server, texts, { model: 'plain', user: `user-${user % 8}` }),
      ),
    );
    for (const { results } of answers) {
      expect(results.map(topLabel)).toEqual(answers[0]?.results.map(topLabel));
    }
    expect(preparations(server, 'plain')).toBe(1);
    await server.stop();
  });

  test('multi-label scores stand each for itself', async () => {
    const folder = await copyModel(models, 'many');
    const problem_type = 'multi_label_classification';
    await changeConfig(folder, (config) => ({ ...config, problem_type }));
    await copyModel(models, 'single');
    const server = await start();
    const many = await classify(server, texts, { model: 'many' });
    const single = await classify(server, texts, { model: 'single' });
    const odds = (score: number) => Math.log(score / (1 - score));
    for (const [index, result] of many.results.entries()) {
      const scores = result.map(({ score }) => score);
      for (const score of scores) {
        expect(score).toBeGreaterThan(0);
        expect(score).toBeLessThan(1);
      }
      // Logits x, y: softmax is the logistic of x − y, so the two schemes must fit together.
      const [x = 0, y = 0] = scores.map(odds);
      const best = single.results[index]?.[0];
      expect(best?.label).toBe(result[0]?.label);
      expect(best?.score).toBeCloseTo(1 / (1 + Math.exp(y - x)), 3);
    }
    const sums = many.results.map((result) => result.reduce((sum, { score }) => sum + score, 0));
    expect(sums.some((sum) => Math.abs(sum - 1) > 1e-3)).toBe(true);
    await server.stop();
  });

  test('`plimsoll models` lists them and prepares them', async () => {
    const fresh = `${await temporaryFolder()}/data`;
    const fp32 = ['--dtype', 'fp32'];
    const listed = await run(['models', '--models', models, '--data', fresh, ...fp32]);
    expect(listed.code).toBe(0);
    expect(listed.stdout).toMatch(/^single: text-classification.*not prepared yet,/m);
    const prepared = await run([
      'models',
      '--models',
      models,
      '--data',
      fresh,
      '--prepare',
      ...fp32,
    ]);
    expect(prepared.code, prepared.stderr).toBe(0);
    expect(prepared.stdout).toMatch(/^org\/name: .*mapped [\d.]+ MB, opens in \d+ ms/m);
    expect(prepared.stdout).not.toContain('not prepared yet');
    const server = await startServer({ models, data: fresh });
    await classify(server, 'a', { model: 'single' });
    expect(preparations(server, 'single')).toBe(0);
    await server.stop();
  });
});
