import path from 'node:path';
import type { LoadNeed } from '../../memory/admission.js';
import { type MappedForm, usesArena } from '../../models/compile/mapped-form.js';
import type { Model } from '../../models/intake/repository.js';
import { inDirectory } from '../../models/intake/tokenizer-files.js';
import type { ReadyModel } from '../../models/library.js';
import type { TokenizerChoice } from '../../models/run/serving-plan.js';
import type { ModelHandle, TokenizerHandle } from '../workers/protocol.js';

/** Each batch needs one, and half of it is paths. */
const handles = new WeakMap<ReadyModel, ModelHandle>();

/** What a worker has to know of a model. */
export function handleOf(ready: ReadyModel, threads: number): ModelHandle {
  const known = handles.get(ready);
  if (known?.threads === threads) return known;
  const handle = newHandle(ready, threads);
  handles.set(ready, handle);
  return handle;
}

function newHandle({ model, form }: ReadyModel, threads: number): ModelHandle {
  const { plan, tokenizer, memoryCap } = form.findings;
  return {
    id: model.id,
    digest: form.instance,
    files: filesBeside(form),
    tokenizer: tokenizerHandleOf(model, tokenizer),
    graphFile: form.graphFile,
    threads,
    arena: usesArena(form.footprint),
    plan,
    ...(memoryCap === undefined ? {} : { memoryCap }),
    scoring: model.description.scoring,
    ...(plan.perToken === true ? { labels: model.description.labels } : {}),
  };
}

/** The files in the graph's own folder: a form that has a fast one beside it has others. */
function filesBeside({ directory, graphFile, files }: MappedForm): ModelHandle['files'] {
  const folder = path.relative(directory, path.dirname(graphFile));
  return files
    .filter(({ name }) => path.join(path.dirname(name)) === path.join(folder))
    .map(({ name, bytes }) => ({ name: path.basename(name), bytes }));
}

/** What a worker has to know of a model's tokenizer. */
export function tokenizerHandleOf(
  { directory, tokenizer, description }: Model,
  choice: TokenizerChoice,
): TokenizerHandle {
  const { maxTokens, truncationSide } = description;
  return { files: inDirectory(directory, tokenizer), choice, maxTokens, truncationSide };
}

/** What opening the model takes, from what was measured of it. */
export function loadNeed({ model, form }: ReadyModel): LoadNeed {
  const { mappedBytes, peakBytes, privateAfterBatchBytes, privateAfterLoadBytes } = form.footprint;
  const measured = peakBytes ?? privateAfterBatchBytes ?? privateAfterLoadBytes ?? 0;
  return { model: model.id, privateBytes: measured, mappedBytes };
}
