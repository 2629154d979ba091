import { describe, expect, test, vi } from 'vitest';
import type { Classifier } from '../../../src/inference/classify.js';
import { ModelRepository } from '../../../src/models/intake/repository.js';
import type { StillUsed } from '../../../src/sessions/cleanups.js';
import { SessionRegistry } from '../../../src/sessions/registry.js';
import { ClassificationService } from '../../../src/sessions/service.js';
import { receipt } from '../memory/receipts.js';
import { temporaryFolder, writeModel } from '../models/folders.js';

const ID = 'org/name';
/** Every way in which a caller may write the same model. */
const SPELLINGS = [ID, 'old-name', 'models--org--name'];

/** A service over models on the disk; what runs them is the test's. */
function serving(classify: () => unknown) {
  const root = temporaryFolder();
  writeModel(root, ID, { 'plimsoll.json': { alias: 'old-name' } });
  const repository = new ModelRepository(root);
  const cleanups: StillUsed[] = [];
  const registry = new SessionRegistry({
    ...{ maxUsers: 8, maxOpen: 10, idleTimeoutMs: 60_000 },
    admit: () => undefined,
    cleanup: async (_session, stillUsed) => {
      cleanups.push(stillUsed);
      return receipt();
    },
    shareReceipt: (of) => of,
    ...{ onChange: () => undefined, onUser: () => undefined, onError: () => undefined },
  });
  const failures: string[] = [];
  const asked = vi.fn(classify);
  const service = new ClassificationService({
    ...{ registry, repository, defaultModel: '', admit: () => undefined },
    classifier: { classify: asked } as unknown as Classifier,
    onAnswer: () => undefined,
    onFailure: (model) => failures.push(model),
  });
  const ask = async (model: string, session: string) =>
    service.classify(
      { inputs: ['text'], model, session, user: 'ann', topK: undefined },
      new AbortController(),
    );
  return { repository, registry, cleanups, failures, asked, ask };
}

const nothing = () => ({
  ...{ model: ID, results: [], truncated: [], cached: [], inputHashes: [] },
  timing: { queueMs: 0, tokenizeMs: 0, runMs: 0 },
});

describe('a model that is asked for by another name', () => {
  test.each(SPELLINGS)('%s: stays while its session is open', async (name) => {
    const { repository, registry, cleanups, ask } = serving(nothing);
    // The alias is known once its model was read.
    await repository.scan();
    await ask(name, registry.open().id);
    await registry.end(registry.open().id);
    expect(cleanups.map((stillUsed) => stillUsed(ID))).toEqual([true]);
  });

  test('so it does if it was found on the disk for that request', async () => {
    const { registry, cleanups, ask } = serving(nothing);
    await ask('models--org--name', registry.open().id);
    await registry.end(registry.open().id);
    expect(cleanups.map((stillUsed) => stillUsed(ID))).toEqual([true]);
  });

  test.each(SPELLINGS)('%s: its failures are counted for the model', async (name) => {
    const { repository, registry, failures, asked, ask } = serving(() => {
      throw new Error('no');
    });
    await repository.scan();
    await expect(ask(name, registry.open().id)).rejects.toThrow('no');
    expect(failures).toEqual([ID]);
    expect(asked).toHaveBeenCalledWith(expect.objectContaining({ model: ID }), expect.anything());
  });
});
