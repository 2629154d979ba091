/**
 * Mapped forms of many models, written by one process. A server starts four processes for each model that it prepares,
 * which takes seconds; tests of what models answer, and not of how they are prepared, need not wait for that.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { safetensorsCompiler } from '../../src/models/compile/can-compile.js';
import {
  MAPPED_GRAPH,
  MAPPED_WEIGHTS,
  MappedForms,
  runtimeKey,
} from '../../src/models/compile/mapped-form.js';
import type { WriteJob } from '../../src/models/compile/preparer-protocol.js';
import { writeForm } from '../../src/models/compile/write-form.js';
import { type Model, ModelRepository } from '../../src/models/intake/repository.js';
import { inDirectory } from '../../src/models/intake/tokenizer-files.js';
import { comparedOnce } from '../unit/models/compared-once.js';

/** Far more than any of these small models takes: the server's own budget depends on its memory. */
const BUDGET = { bytes: 2 ** 31, ms: 60_000 };

/**
 * @param models the folder of models, which may hold no broken one.
 * @param data the data folder that the server is started with.
 */
export async function writeForms(models: string, data: string): Promise<void> {
  const repository = new ModelRepository(models, 'fp32', safetensorsCompiler);
  await repository.scan();
  const forms = new MappedForms(data, await runtimeKey());
  for (const { id } of repository.list()) await writeOne(forms, await repository.find(id));
}

async function writeOne(forms: MappedForms, model: Model): Promise<void> {
  const partial = forms.partialFolderOf(model);
  await mkdir(partial, { recursive: true });
  const written = await writeForm(jobOf(model, path.join(partial, MAPPED_GRAPH)), comparedOnce);
  await forms.publish(model, partial, written);
  await forms.digests.keep(model, written.digest);
}

function jobOf(model: Model, graphFile: string): WriteJob {
  const { description: of, declaration, directory, files, weights, dtype } = model;
  const { padTokenId, padTypeId, positionOffset, paddingSide, maxTokens } = of;
  return {
    ...{ job: 'write', source: directory, files, weights, graphFile, weightsFile: MAPPED_WEIGHTS },
    ...{ tokenizer: inDirectory(directory, model.tokenizer), threads: 1, budget: BUDGET },
    inspect: {
      ...{ dtype, maxTokens, padTokenId, padTypeId, positionOffset, paddingSide },
      perToken: of.task === 'token-classification',
      labels: declaration.overrides.labels?.length ?? declaration.labels.count,
    },
  };
}
