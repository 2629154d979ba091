import type { BatchPrefetch } from '../workers/prefetch.js';

/** What is recalled of a worker, and how. */
export interface BundleHolder {
  readonly bundles: Pick<BatchPrefetch, 'recallTokens' | 'isRecalled'>;
  recall(): void;
}

/**
 * Recalls bundles of jobs until as many workers are coming free as are wanted: first those that are free the soonest.
 *
 * @param wanted workers; callers who wait, for example
 */
export function recallBundles(workers: readonly BundleHolder[], wanted: number): void {
  if (wanted === 0) return;
  const coming = workers.filter(({ bundles }) => bundles.isRecalled).length;
  const waitFor = ({ bundles }: BundleHolder) => bundles.recallTokens ?? Number.POSITIVE_INFINITY;
  const holders = workers
    .filter(({ bundles }) => bundles.recallTokens !== undefined)
    .sort((a, b) => waitFor(a) - waitFor(b));
  for (const holder of holders.slice(0, Math.max(0, wanted - coming))) holder.recall();
}
