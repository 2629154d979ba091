import { describe, expect, it } from 'vitest';
import { growthOf, parseCounters } from '../../../../src/proof/play/counters.js';

const PAGE = [
  '# HELP plimsoll_cache_hits_total Answers from the cache.',
  '# TYPE plimsoll_cache_hits_total counter',
  'plimsoll_cache_hits_total{tier="memory"} 12',
  '# TYPE plimsoll_worker_recycles_total counter',
  'plimsoll_batches_total 1.5e3',
  'plimsoll_memory_used_bytes 7',
  'plimsoll_broken_total NaN',
  'process_cpu_seconds_total 3.5',
  '',
].join('\n');

describe('counters', () => {
  it('are read from the text format, ours alone', () => {
    expect([...parseCounters(PAGE)]).toEqual([
      ['plimsoll_cache_hits_total', 0],
      ['plimsoll_cache_hits_total{tier="memory"}', 12],
      ['plimsoll_worker_recycles_total', 0],
      ['plimsoll_batches_total', 1500],
    ]);
  });

  it('grow by what the run added, from 0 for a series that is new', () => {
    const after = parseCounters(`${PAGE}plimsoll_cache_hits_total{tier="redis"} 4\n`);
    expect(growthOf('plimsoll_cache_hits_total', parseCounters(PAGE), after)).toEqual([
      { labels: '', count: 0 },
      { labels: 'tier="memory"', count: 0 },
      { labels: 'tier="redis"', count: 4 },
    ]);
  });

  it('count anew after a restart of the server', () => {
    const before = new Map([['plimsoll_batches_total', 90]]);
    const after = new Map([['plimsoll_batches_total', 5]]);
    expect(growthOf('plimsoll_batches_total', before, after)).toEqual([{ labels: '', count: 5 }]);
  });

  it('are null where the server has none, or a page could not be read', () => {
    const page = parseCounters(PAGE);
    expect(growthOf('plimsoll_cleanups_total', page, page)).toBeNull();
    expect(growthOf('plimsoll_cache_hits', page, page)).toBeNull();
    expect(growthOf('plimsoll_batches_total', null, page)).toBeNull();
  });
});
