import { expect, test } from 'vitest';
import { ModelViews } from '../../../../src/app/views/model-views.js';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { temporaryFolder, writeModel } from '../../models/folders.js';

test('a model is unloaded by whatever name it is asked for', async () => {
  const root = temporaryFolder();
  writeModel(root, 'org/name', { 'plimsoll.json': { alias: 'old-name' } });
  const repository = new ModelRepository(root);
  await repository.scan();
  const unloaded: string[] = [];
  const views = new ModelViews({
    repository,
    // What the views ask of them here, and no more.
    library: { formOf: async () => undefined, failureOf: () => undefined } as never,
    memory: {
      unload: async (model: string) => unloaded.push(model),
      ledger: { lastUsedAtMs: () => undefined },
    } as never,
    ...{ dispatcher: {} as never, pool: { workers: [] } as never, mostTokens: 1 },
  });
  for (const name of ['org/name', 'old-name', 'models--org--name']) await views.unload(name);
  expect(unloaded).toEqual(['org/name', 'org/name', 'org/name']);
});
