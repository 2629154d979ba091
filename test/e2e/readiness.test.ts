import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { NotReady, Ready } from '../../src/contract/service.js';
import { Machine } from '../servers/faults.js';
import { TRIGGER, writeGrowing } from './faulty-models.js';
import { classify, request, type Server, startServer, temporaryFolder, until } from './harness.js';
import { copyModel } from './model-folders.js';

const readiness = (server: Server) => request<Ready | NotReady>(server, 'GET', '/health/ready');

test('a kernel file that hangs: degraded, then not ready, while requests are answered; then ready again', async () => {
  const machine = await new Machine(await temporaryFolder()).make();
  const settings = { 'memory.system_root': machine.root, 'memory.reading_interval_ms': 50 };
  const server = await startServer({ settings });
  await classify(server, 'hello');
  machine.hang();
  await until('it is degraded', async () =>
    JSON.stringify((await readiness(server)).body).includes('memory was last read'),
  );
  await until('it is not ready', async () => (await readiness(server)).status === 503);
  // Readings that hang leave threads for everything else, such as the models' files.
  expect((await classify(server, 'another text')).results).toHaveLength(1);
  machine.release();
  await until('it is ready again', async () => (await readiness(server)).body.status === 'ready');
}, 90_000);

test('a data folder that is gone: degraded without a record to write, until it is made anew', async () => {
  const server = await startServer();
  await classify(server, 'hello');
  // The server may write into it, or make it anew, meanwhile.
  await until('a file is in its place', async () => {
    await rm(server.data, { recursive: true, force: true, maxRetries: 20 });
    return writeFile(server.data, 'a file').then(
      () => true,
      () => false,
    );
  });
  const reasons = async () => JSON.stringify((await readiness(server)).body);
  await until('it is degraded', async () => (await reasons()).includes('the database'));
  await rm(server.data);
  await until('it is ready', async () => (await readiness(server)).body.status === 'ready');
  expect((await classify(server, 'hello again')).results).toHaveLength(1);
}, 60_000);

test('a model that takes memory without bound costs its own request', async () => {
  const models = path.join(await temporaryFolder(), 'models');
  await mkdir(models, { recursive: true });
  await copyModel(models, 'spam');
  await writeGrowing(models, 'growing');
  const settings = { 'models.default': 'spam', 'memory.load_of': 'server' };
  const line = { 'memory.load_line': '900MB', 'worker.count': 2 };
  const server = await startServer({ models, settings: { ...settings, ...line } });
  await classify(server, 'warm up', { model: 'growing' });
  const body = { model: 'growing', inputs: TRIGGER };
  const [grown, other] = await Promise.all([
    request<{ error: { code: string } }>(server, 'POST', '/v1/classify', { body }),
    classify(server, 'an honest text'),
  ]);
  expect(grown.body.error.code).toBe('INPUT_REFUSED');
  expect(other.results).toHaveLength(1);
  expect((await classify(server, 'an honest text', { model: 'growing' })).results).toHaveLength(1);
}, 90_000);
