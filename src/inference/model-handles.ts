import type { LoadNeed } from '../memory/admission.js';
import { usesArena } from '../models/compile/mapped-form.js';
import type { ReadyModel } from '../models/library.js';
import type { ModelHandle } from './workers/protocol.js';

/** What a worker needs to open the model. */
export function handleOf({ model, form }: ReadyModel, threads: number): ModelHandle {
  const { labels, scheme, maxTokens, padTokenId } = model.description;
  return {
    id: model.id,
    digest: form.digest,
    directory: model.directory,
    graphFile: form.graphFile,
    threads,
    padTokenId,
    arena: usesArena(form.footprint),
    maxTokens,
    labelCount: labels.length,
    scheme,
  };
}

/** Memory that opening the model takes, as measured. */
export function loadNeed({ model, form }: ReadyModel): LoadNeed {
  const { mappedBytes, peakBytes, privateAfterBatchBytes, privateAfterLoadBytes } = form.footprint;
  const measured = peakBytes ?? privateAfterBatchBytes ?? privateAfterLoadBytes ?? 0;
  return { model: model.id, privateBytes: measured, mappedBytes };
}
