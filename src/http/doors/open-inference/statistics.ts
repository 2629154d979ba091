/** The statistics extension. Pure. */

import type { ModelStats, ShownDuration } from '../../../contract/doors/open-inference.js';
import type { ModelView } from '../../../contract/models.js';
import type { Duration, ModelFigures } from '../../../metrics/model-statistics.js';
import { VERSION } from './tensors/reply.js';

const NS_PER_MS = 1e6;
const MB = 2 ** 20;

/** The protocol asks for it, and nobody measures it. */
const UNMEASURED: ShownDuration = { count: 0, ns: 0 };

function shown({ count, totalMs }: Duration): ShownDuration {
  return { count, ns: Math.round(totalMs * NS_PER_MS) };
}

/**
 * What was counted of a model, in the protocol's terms:
 *
 * 1. A request is a cache hit if all of its rows are: it has no times of computing.
 * 2. Making the inputs of a model is tokenizing; what reading its outputs takes is not measured, nor is a look into the
 *    cache that finds nothing: these are 0.
 * 3. Memory is what its workers hold of their own, and the weights that they share, both as measured; none while it is
 *    not loaded.
 */
export function statsOf(
  model: Pick<ModelView, 'id' | 'workers' | 'private_mb' | 'mapped_mb'>,
  figures: ModelFigures,
): ModelStats {
  const { answered, failed, cacheHits, queued, tokenized, run, batches } = figures;
  return {
    name: model.id,
    version: VERSION,
    last_inference: figures.lastAnsweredAtMs,
    inference_count: batches.reduce((sum, { rows, run: { count } }) => sum + rows * count, 0),
    execution_count: batches.reduce((sum, { run: { count } }) => sum + count, 0),
    inference_stats: {
      success: shown(answered),
      fail: shown(failed),
      queue: shown(queued),
      compute_input: shown(tokenized), // 2
      compute_infer: shown(run),
      compute_output: UNMEASURED,
      cache_hit: shown(cacheHits), // 1
      cache_miss: { count: run.count, ns: 0 },
    },
    batch_stats: batches.map((of) => ({
      batch_size: of.rows,
      compute_input: shown(of.tokenized),
      compute_infer: shown(of.run),
      compute_output: UNMEASURED,
    })),
    memory_usage: memoryOf(model),
  };
}

function memoryOf({
  workers,
  private_mb: own,
  mapped_mb: shared,
}: Pick<ModelView, 'workers' | 'private_mb' | 'mapped_mb'>): ModelStats['memory_usage'] {
  const holding = workers.filter(({ state }) => state !== 'unloaded').length;
  if (holding === 0 || own === null) return []; // 3
  const bytes = (holding * own + (shared ?? 0)) * MB;
  return [{ type: 'CPU', id: 0, byte_size: Math.round(bytes) }];
}
