import { rename } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { classify, request, startServer, temporaryFolder, until } from './harness.js';
import { copyModel } from './model-folders.js';

test('a models folder that is moved away and back: an unnamed request finds its model again', async () => {
  const root = await temporaryFolder();
  const [models, away] = [path.join(root, 'models'), path.join(root, 'away')];
  await copyModel(models, 'only');
  const server = await startServer({ models, settings: { 'worker.count': 1 } });
  const { results } = await classify(server, 'before it moved');
  await rename(models, away);
  const ask = () => request(server, 'POST', '/v1/classify', { body: { inputs: 'a new text' } });
  const missed = await until('it is missed', async () => {
    const { status } = await ask();
    return status === 200 ? undefined : status;
  });
  expect([missed, (await ask()).status, (await ask()).status]).toEqual([404, 404, 404]);
  await rename(away, models);
  await until('it is found again', async () => (await ask()).status === 200);
  expect((await classify(server, 'before it moved')).results).toEqual(results);
  await server.stop();
}, 60_000);
