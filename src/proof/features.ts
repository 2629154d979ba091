/** Which features were active in a run, read from the growth of the server's counters alone. */
import { type CounterGrowth, growthOf } from './counters.js';
import type { FeatureFigures, FeatureState } from './figures.js';
import type { LoadRun } from './run.js';

interface Feature {
  readonly feature: string;
  /** The counter that decides whether it was active. */
  readonly decides: string;
  /** Only series with this in their labels decide. */
  readonly label?: string;
  /** Counters shown beside it. */
  readonly beside?: readonly string[];
}

/** The reference run's five features first, with the cache's two tiers apart, then what else there is. */
const FEATURES: readonly Feature[] = [
  {
    feature: 'Model unloading',
    decides: 'plimsoll_model_unloads_total',
    beside: ['plimsoll_model_loads_total'],
  },
  {
    feature: 'Process recycling',
    decides: 'plimsoll_worker_recycles_total',
    beside: ['plimsoll_recycles_total'],
  },
  {
    feature: 'Result cache in process',
    decides: 'plimsoll_cache_hits_total',
    label: 'tier="memory"',
    beside: ['plimsoll_cache_misses_total'],
  },
  {
    feature: 'Result cache in Redis',
    decides: 'plimsoll_cache_hits_total',
    label: 'tier="redis"',
  },
  { feature: 'Connection pools', decides: 'plimsoll_connections_recycled_total' },
  { feature: 'Session cleanup', decides: 'plimsoll_cleanups_total' },
  { feature: 'Batching', decides: 'plimsoll_batches_total' },
  { feature: 'Replacing lost workers', decides: 'plimsoll_worker_restarts_total' },
];

export function analyseFeatures(counters: LoadRun['counters']): readonly FeatureFigures[] {
  const known = counters.before !== null && counters.after !== null;
  const grown = (name: string) => growthOf(name, counters.before, counters.after);
  return FEATURES.map(({ feature, decides, label, beside }) => {
    const present = grown(decides);
    const deciding = (present ?? []).filter(({ labels }) => labels.includes(label ?? ''));
    const rows = [
      ...named(decides, deciding),
      ...(beside ?? []).flatMap((name) => named(name, grown(name) ?? [])),
    ];
    return { feature, state: stateOf(known, present !== null, deciding), counters: rows };
  });
}

function named(counter: string, growth: readonly CounterGrowth[]): FeatureFigures['counters'] {
  // The bare name stands for a declared counter without series; beside real series it says nothing.
  const labelled = growth.filter((series) => series.labels !== '');
  const rows = labelled.length > 0 ? labelled : growth;
  return rows.map(({ labels, count }) => ({ counter, labels, count }));
}

/** A counter that is there without a series for the label has not counted it yet: not exercised. */
function stateOf(known: boolean, present: boolean, growth: readonly CounterGrowth[]): FeatureState {
  if (!known) return 'unknown: the counters could not be read';
  if (!present) return 'not present in this server';
  return growth.some((series) => series.count > 0) ? 'active' : 'not exercised in this run';
}
