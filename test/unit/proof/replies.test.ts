import { describe, expect, it } from 'vitest';
import type { CacheView } from '../../../src/contract/cache.js';
import type { Answer } from '../../../src/contract/classify.js';
import type { MemoryView } from '../../../src/contract/state/memory.js';
import { shownReceipt } from '../../../src/memory/receipt.js';
import {
  parseCache,
  parseClassify,
  parseEndReceipt,
  parseMemory,
  parseModels,
  parseReceipts,
  parseRedisState,
  parseSessionId,
  parseWorkerStates,
} from '../../../src/proof/replies.js';
import { receipt } from '../memory/receipts.js';

const NOT_OBJECTS = [undefined, null, 'text', 5, [], true];

const memory: MemoryView = {
  server_total_mb: 8000,
  server_used_mb: 1000,
  server_percent: 12.5,
  load_line_mb: 6400,
  pressure: 'normal',
  users_since_recycle: 3,
  processes: [{ role: 'main', pid: 1, rss_mb: 90, pss_mb: 60, private_mb: 50 }],
};

const answer: Answer = {
  model: 'spam',
  session: 's_1',
  user: 'ann',
  results: [[{ label: 'ham', score: 0.9 }]],
  truncated: [false],
  cached: ['memory'],
  timing: { queue_ms: 0, tokenize_ms: 0, run_ms: 0, total_ms: 0 },
};

const stored = shownReceipt(
  receipt({
    actions: [
      { action: 'unload_model', model: 'm', worker: 'w', durationMs: 1, freedBytes: 2 ** 20 },
      { action: 'clear_cache', durationMs: 2, freedBytes: 0, entries: 7 },
    ],
  }),
);

describe('memory', () => {
  it('is taken as it is', () => {
    expect(parseMemory(memory)).toEqual(memory);
  });

  it('has null for what is missing or of another type, and words of another version as they are', () => {
    const { load_line_mb: _, ...rest } = memory;
    const told = parseMemory({
      ...{ ...rest, pressure: 'severe', users_since_recycle: '3' },
      processes: [{ role: 'gpu', rss_mb: Number.NaN, private_mb: 4 }, 'none'],
    });
    expect(told).toMatchObject({ load_line_mb: null, users_since_recycle: null });
    expect(told?.pressure).toBe('severe');
    expect(told?.processes).toEqual([
      { role: 'gpu', pid: null, rss_mb: null, pss_mb: null, private_mb: 4 },
    ]);
    expect(parseMemory({ ...rest, pressure: undefined, processes: 5 })).toMatchObject({
      pressure: 'unknown',
      processes: [],
    });
  });

  it('is none without the figures of the machine', () => {
    for (const name of ['server_total_mb', 'server_used_mb', 'server_percent']) {
      expect(parseMemory({ ...memory, [name]: undefined })).toBeNull();
      expect(parseMemory({ ...memory, [name]: null })).toBeNull();
    }
    for (const body of NOT_OBJECTS) expect(parseMemory(body)).toBeNull();
  });
});

describe('a receipt', () => {
  const parse = (cleanup: unknown) => parseEndReceipt({ id: 's', cleanup });

  it('has what the report shows of it', () => {
    const [unloaded, cleared] = stored.actions;
    const { entries: _, ...action } = cleared ?? {};
    expect(parse(stored)).toEqual({
      ...stored,
      actions: [unloaded, { ...action, model: null, worker: null }],
    });
    expect(parseReceipts({ receipts: [stored, {}, null] })).toEqual([parse(stored)]);
  });

  it('has no side where the server left one out, and no figure that it did not tell', () => {
    const { after: _, freed_mb: __, ...rest } = stored;
    const before = { ...stored.before, private_mb: 'much' };
    expect(parse({ ...rest, before, actions: [{ model: 'm' }, 5] })).toMatchObject({
      before: { ...stored.before, private_mb: null },
      ...{ after: null, freed_mb: null, actions: [] },
    });
    const { server_used_mb: ___, ...incomplete } = stored.before;
    expect(parse({ ...stored, before: incomplete })?.before).toBeNull();
  });

  it('is none without its id', () => {
    expect(parse({ ...stored, id: '' })).toBeNull();
    for (const cleanup of NOT_OBJECTS) expect(parse(cleanup)).toBeNull();
    for (const body of NOT_OBJECTS) expect(parseReceipts(body)).toEqual([]);
  });
});

describe('an answer', () => {
  it('is the best label of the one text', () => {
    expect(parseClassify(answer)).toEqual({
      ...{ model: 'spam', label: 'ham', score: 0.9, truncated: false, cached: 'memory' },
    });
    expect(parseClassify({ ...answer, cached: [false] })?.cached).toBe('none');
    expect(parseClassify({ ...answer, cached: ['disk'] })?.cached).toBe('disk');
  });

  it('is none where the best label or its score is not one; the next is not taken for it', () => {
    const next = { label: 'spam', score: 0.1 };
    for (const first of [{}, { label: 'ham' }, { label: 'ham', score: '0.9' }, null, 'ham']) {
      expect(parseClassify({ ...answer, results: [[first, next]] })).toBeNull();
    }
    for (const results of [[], [[]], [null, [next]], 5, undefined]) {
      expect(parseClassify({ ...answer, results })).toBeNull();
    }
    expect(parseClassify({ ...answer, model: undefined })).toBeNull();
    for (const body of NOT_OBJECTS) expect(parseClassify(body)).toBeNull();
  });
});

describe('lists and states', () => {
  it('of models are whole or none', () => {
    const model = { id: 'spam', state: 'loaded', private_mb: 5, more: 1 };
    expect(parseModels({ models: [model, { id: 'b', state: 'odd' }] })).toEqual([
      { id: 'spam', state: 'loaded', private_mb: 5 },
      { id: 'b', state: 'odd', private_mb: null },
    ]);
    for (const odd of [{ id: 'b' }, { state: 'loaded' }, null]) {
      expect(parseModels({ models: [model, odd] })).toBeNull();
    }
    for (const body of [...NOT_OBJECTS, {}]) expect(parseModels(body)).toBeNull();
  });

  it('of the cache tell of the tiers that have answered', () => {
    const tier = { entries: 0, bytes: 0, hits: 0, misses: 0, ttl_left_s: null };
    const cache: CacheView = {
      memory: { ...tier, ttl_left_s: { least: 1, most: 9 } },
      redis: null,
    };
    expect(parseCache(cache)).toEqual([{ tier: 'memory', least_s: 1, most_s: 9 }]);
    expect(parseRedisState(cache)).toBeNull();
    expect(parseRedisState({ redis: { state: 'closed' } })).toBe('closed');
    for (const body of NOT_OBJECTS) expect(parseCache(body)).toEqual([]);
  });

  it('of workers and sessions', () => {
    expect(parseWorkerStates({ workers: [{ state: 'ready' }, {}] })).toEqual(['ready', 'unknown']);
    expect(parseWorkerStates({})).toBeNull();
    expect(parseSessionId({ id: 's_1' })).toBe('s_1');
    expect(parseSessionId({ id: 7 })).toBe('7');
    expect(parseSessionId({})).toBeNull();
  });
});
