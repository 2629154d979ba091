/** Which features were active in a run, from the growth of the server's counters alone. */

import { count, list, plural, seconds } from '../format.js';
import { type CounterGrowth, growthOf } from '../play/counters.js';
import type { LoadRun } from '../play/run.js';
import type { FeatureFigures, FeatureState } from './figures.js';

type Evidence = Pick<LoadRun, 'counters' | 'recycleCauses' | 'cacheLives'>;

interface Feature {
  readonly feature: string;
  /** The counter that decides whether it was active. */
  readonly decides: string;
  /** Only series with this in their labels decide. */
  readonly label?: string;
  /** Counters shown beside it. */
  readonly beside?: readonly string[];
  /** What was seen, where it was active. @param total of what decides. */
  readonly seen: (total: number, growth: readonly CounterGrowth[], evidence: Evidence) => string;
}

/** The reference run's five features first, with a row for each cache tier, then the others. */
const FEATURES: readonly Feature[] = [
  {
    feature: 'Model unloading',
    decides: 'plimsoll_model_unloads_total',
    beside: ['plimsoll_model_loads_total'],
    seen: (total) => `models unloaded ${times(total)}`,
  },
  {
    feature: 'Process recycling',
    decides: 'plimsoll_worker_recycles_total',
    beside: ['plimsoll_recycles_total'],
    seen: (total, _growth, { recycleCauses }) =>
      `workers recycled ${times(total)}${after(recycleCauses)}`,
  },
  {
    feature: 'Result cache in process',
    decides: 'plimsoll_cache_hits_total',
    label: 'tier="memory"',
    beside: ['plimsoll_cache_misses_total'],
    seen: (total, _growth, evidence) => `${plural(total, 'hit')}${lifeLeft(evidence, 'memory')}`,
  },
  {
    feature: 'Result cache in Redis',
    decides: 'plimsoll_cache_hits_total',
    label: 'tier="redis"',
    seen: (total, _growth, evidence) => `${plural(total, 'hit')}${lifeLeft(evidence, 'redis')}`,
  },
  {
    feature: 'Connection pools',
    decides: 'plimsoll_pool_recycled_total',
    beside: ['plimsoll_pool_opened_total', 'plimsoll_pool_broken_total'],
    seen: (total, growth) =>
      `connections recycled ${times(total)} (${list(growth.map(({ labels, count: n }) => `${nameIn(labels)} ${count(n)}`))})`,
  },
  {
    feature: 'Session cleanup',
    decides: 'plimsoll_cleanups_total',
    seen: (total) => `${plural(total, 'cleanup')} ran`,
  },
  {
    feature: 'Batching',
    decides: 'plimsoll_batches_total',
    seen: (total) => `${count(total)} batches ran`,
  },
  {
    feature: 'Replacing lost workers',
    decides: 'plimsoll_worker_restarts_total',
    beside: ['plimsoll_batches_retried_total'],
    seen: (total) => `lost workers replaced ${times(total)}`,
  },
];

export function analyseFeatures(evidence: Evidence): readonly FeatureFigures[] {
  const { before, after: end } = evidence.counters;
  const known = before !== null && end !== null;
  const grown = (name: string) => growthOf(name, before, end);
  return FEATURES.map(({ feature, decides, label, beside, seen }) => {
    const present = grown(decides);
    const deciding = (present ?? []).filter(({ labels }) => labels.includes(label ?? ''));
    const rows = [
      ...named(decides, deciding),
      ...(beside ?? []).flatMap((name) => named(name, grown(name) ?? [])),
    ];
    const total = deciding.reduce((sum, series) => sum + series.count, 0);
    const state = stateOf(known, present !== null, total);
    return {
      feature,
      state,
      seen: state === 'active' ? seen(total, deciding, evidence) : '',
      counters: rows,
    };
  });
}

function named(counter: string, growth: readonly CounterGrowth[]): FeatureFigures['counters'] {
  // The bare name is a declared counter without series; next to real series it has no meaning.
  const labelled = growth.filter((series) => series.labels !== '');
  const rows = labelled.length > 0 ? labelled : growth;
  return rows.map(({ labels, count: n }) => ({ counter, labels, count: n }));
}

/** A counter without a series for the label has not counted yet: not exercised. */
function stateOf(known: boolean, present: boolean, total: number): FeatureState {
  if (!known) return 'unknown: the counters could not be read';
  if (!present) return 'not present in this server';
  return total > 0 ? 'active' : 'not exercised in this run';
}

function times(value: number): string {
  return value === 1 ? 'once' : `${count(value)} times`;
}

/** The causes of the recycles from their receipts, each with its count. */
function after(causes: readonly string[] | null): string {
  if (causes === null || causes.length === 0) return '';
  const counts = new Map<string, number>();
  for (const cause of causes) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  return `, after ${list([...counts].map(([cause, n]) => `${cause} (${times(n)})`))}`;
}

function lifeLeft({ cacheLives }: Evidence, tier: string): string {
  const life = cacheLives.find((one) => one.tier === tier);
  if (life === undefined) return '';
  const [least, most] = [life.least_s, life.most_s].map((s) => seconds(s * 1000));
  return `; of their time to live ${least} to ${most} were left`;
}

/** `pool="redis"` → `redis` */
function nameIn(labels: string): string {
  return /"([^"]*)"/.exec(labels)?.[1] ?? 'all';
}
