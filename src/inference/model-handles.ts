import type { LoadNeed } from '../memory/admission.js';
import { usesArena } from '../models/compile/mapped-form.js';
import type { ReadyModel } from '../models/library.js';
import type { ModelTicket } from './workers/protocol.js';

/** What a worker has to know of a model. */
export function ticketOf({ model, form }: ReadyModel, threads: number): ModelTicket {
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

/** What opening the model takes, from what was measured of it. */
export function loadNeed({ model, form }: ReadyModel): LoadNeed {
  const { mappedBytes, peakBytes, privateAfterBatchBytes, privateAfterLoadBytes } = form.footprint;
  const measured = peakBytes ?? privateAfterBatchBytes ?? privateAfterLoadBytes ?? 0;
  return { model: model.id, privateBytes: measured, mappedBytes };
}
