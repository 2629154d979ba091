import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import {
  childrenOf,
  classify,
  get,
  isRunning,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import { changeConfig, copyModel, formsOf } from './model-folders.js';
import { expectError } from './shapes.js';

/** What can be wrong with a model, how to break it, and what the caller is told. */
const BROKEN: readonly {
  readonly id: string;
  readonly smash: (folder: string) => Promise<void>;
  readonly says: RegExp;
  /** Whether it takes a throw-away process to find out. */
  readonly prepared: boolean;
}[] = [
  {
    id: 'truncated',
    smash: async (folder) => {
      const graph = path.join(folder, 'onnx', 'model.onnx');
      await truncate(graph, Math.floor((await readFile(graph)).length / 2));
    },
    says: /graph/,
    prepared: false,
  },
  {
    id: 'empty',
    smash: (folder) => writeFile(path.join(folder, 'onnx', 'model.onnx'), ''),
    says: /graph|model/,
    prepared: false,
  },
  {
    id: 'wrong-magic',
    smash: (folder) =>
      writeFile(path.join(folder, 'onnx', 'model.onnx'), 'GGUF\0\0\0\0'.repeat(99)),
    says: /graph/,
    prepared: false,
  },
  {
    id: 'zeros',
    smash: (folder) => writeFile(path.join(folder, 'onnx', 'model.onnx'), Buffer.alloc(65_536)),
    says: /graph/,
    prepared: false,
  },
  {
    id: 'no-tokenizer',
    smash: (folder) => rm(path.join(folder, 'tokenizer.json')),
    says: /tokenizer\.json.*missing/,
    prepared: false,
  },
  {
    id: 'bad-tokenizer',
    smash: (folder) => writeFile(path.join(folder, 'tokenizer.json'), '{"model":{"type":"Nope"}}'),
    says: /tokenizer\.json/,
    prepared: true,
  },
  {
    id: 'tokenizer-no-json',
    smash: (folder) => writeFile(path.join(folder, 'tokenizer.json'), '<html>'),
    says: /tokenizer\.json/,
    prepared: true,
  },
  {
    id: 'config-no-json',
    smash: (folder) => writeFile(path.join(folder, 'config.json'), 'null'),
    says: /config\.json/,
    prepared: false,
  },
  {
    id: 'too-many-labels',
    smash: (folder) =>
      changeConfig(folder, (config) => ({
        ...config,
        id2label: { 0: 'a', 1: 'b', 2: 'c', 3: 'd' },
      })),
    says: /2 outputs.*speaks of 4/,
    prepared: true,
  },
  {
    id: 'another-task',
    smash: (folder) =>
      changeConfig(folder, (config) => ({ ...config, architectures: ['BertForMaskedLM'] })),
    says: /ForSequenceClassification/,
    prepared: false,
  },
];

let models: string;
let server: Server;
const preparations = (id: string) =>
  server.logs.filter(({ msg, model }) => msg.startsWith('preparing') && model === id).length;

beforeAll(async () => {
  models = await temporaryFolder();
  await copyModel(models, 'good');
  for (const { id, smash } of BROKEN) await smash(await copyModel(models, id));
  await mkdir(path.join(models, 'not-a-model', 'deeper'), { recursive: true });
  server = await startServer({ models });
});

describe('a broken model', () => {
  test.each(BROKEN)('$id: says what is wrong, every time, and tries once', async (broken) => {
    const { id, says, prepared } = broken;
    for (let time = 0; time < 3; time += 1) {
      const body = { inputs: 'a', model: id };
      const replies = await Promise.all([
        request(server, 'POST', '/v1/classify', { body }),
        request(server, 'POST', '/v1/classify', { body }),
        request(server, 'POST', `/v1/models/${id}/load`),
      ]);
      for (const reply of replies) expectError(reply, 'MODEL_UNUSABLE', says);
    }
    expect(preparations(id)).toBe(prepared ? 1 : 0);
    expect(await formsOf(server.data, id)).toEqual([]);
  });

  test('leaves no process, and the good model is served beside it', async () => {
    await until('no throw-away process runs', () => childrenOf(server.pid).length <= 1);
    expect((await classify(server, 'a', { model: 'good' })).results).toHaveLength(1);
    expect(isRunning(server.pid)).toBe(true);
    const { models: listed } = await get<Models>(server, '/v1/models');
    expect(listed.map(({ id }) => id)).toEqual(['good', ...BROKEN.map(({ id }) => id)].sort());
    for (const { id, prepared, says } of BROKEN) {
      const model = listed.find((candidate) => candidate.id === id);
      if (prepared) continue;
      expect(model).toMatchObject({ state: 'broken', reason: expect.stringMatching(says) });
    }
  });

  test('that is mended is served, without a restart', async () => {
    await rm(path.join(models, 'truncated'), { recursive: true });
    await copyModel(models, 'truncated');
    const answer = await until('it is looked at again', async () => {
      const body = { inputs: 'a', model: 'truncated' };
      const reply = await request(server, 'POST', '/v1/classify', { body });
      return reply.status === 200 ? reply.body : undefined;
    });
    expect(answer).toMatchObject({ model: 'truncated' });
  });

  test('no name leads out of the folder', async () => {
    const outside = await temporaryFolder();
    await copyModel(outside, 'secret');
    const inside = path.relative(models, path.join(outside, 'secret'));
    for (const model of [
      ...['..', '../x', '../../etc', './good', 'good/', '/good', 'good/../good', 'GOOD\0', inside],
      ...[path.join(outside, 'secret'), 'a/b/c/d/e', '-x', '.hidden', 'g\u00f6od', '%2e%2e', '~'],
    ]) {
      const body = { inputs: 'a', model };
      const asked = await request(server, 'POST', '/v1/classify', { body });
      const name = encodeURIComponent(model);
      const loaded = await request(server, 'POST', `/v1/models/${name}/load`);
      // Not expectError: the message repeats the name, which here looks like a path of the machine.
      for (const reply of [asked, loaded]) {
        expect(reply).toMatchObject({ status: 404, body: { error: { code: 'MODEL_NOT_FOUND' } } });
      }
    }
    for (const address of ['/v1/models/../x/load', '/v1/models/..%2f..%2fx/load']) {
      expect((await request(server, 'POST', address)).status).toBe(404);
    }
  });
});

describe('a kill while a model is prepared', () => {
  test('of the server, at any moment: the next start serves, and nothing is left over', async () => {
    const own = await temporaryFolder();
    await copyModel(own, 'one');
    await copyModel(own, 'two');
    const data = `${await temporaryFolder()}/data`;
    const left = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      const victim = await startServer({ models: own, data });
      const children = childrenOf(victim.pid);
      // The n-th look after the start: each round ends it at another moment of the work.
      let looks = 0;
      await until('the moment has come', () => looks++ >= round * 12);
      await victim.kill();
      await until('its children have gone', () => !children.some(isRunning));
      for (const id of ['one', 'two']) {
        for (const { name } of await formsOf(data, id)) left.add(`${round} ${id} ${name}`);
      }
    }
    const next = await startServer({ models: own, data });
    for (const model of ['one', 'two']) {
      expect((await classify(next, 'a', { model })).model).toBe(model);
      const forms = await formsOf(data, model);
      expect(forms.map(({ name }) => name)).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
    }
    await next.stop();
    expect(left.size).toBeGreaterThan(0);
  });

  test('of the preparer: the request learns it, and the next one is served', async () => {
    const own = await temporaryFolder();
    await copyModel(own, 'one');
    const victim = await startServer({ models: own });
    const workers = new Set(
      (await get<{ processes: { role: string; pid: number }[] }>(victim, '/v1/memory')).processes
        .filter(({ role }) => role === 'worker')
        .map(({ pid }) => pid),
    );
    const first = request(victim, 'POST', '/v1/classify', { body: { inputs: 'a' } });
    const [preparer = -1] = await until('a preparer runs', () => {
      const others = childrenOf(victim.pid).filter((pid) => !workers.has(pid));
      return others.length > 0 ? others : undefined;
    });
    process.kill(preparer, 'SIGKILL');
    const { status, text } = await first;
    expect([200, 507], text).toContain(status);
    const answer = await until('it is prepared again', async () => {
      const reply = await request(victim, 'POST', '/v1/classify', { body: { inputs: 'a' } });
      return reply.status === 200 ? reply.body : undefined;
    });
    expect(answer).toMatchObject({ model: 'one' });
    const forms = await formsOf(victim.data, 'one');
    expect(forms.map(({ name }) => name)).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
    await victim.stop();
  });
});
