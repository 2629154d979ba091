import type { PoolView } from '../contract/state/pools.js';
import { toMs } from '../contract/units.js';
import type { PoolFigures } from './pool.js';

/** The figures of a pool as callers see them. */
export function shownPool(figures: PoolFigures): PoolView {
  const { inUse, waitMsMean, waitMsMax, waitSeconds: _, ...same } = figures;
  return {
    ...same,
    in_use: inUse,
    wait_ms_mean: toMs(waitMsMean),
    wait_ms_max: toMs(waitMsMax),
  };
}
