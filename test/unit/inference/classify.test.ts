import { describe, expect, test } from 'vitest';
import { MemoryTier } from '../../../src/cache/memory-tier.js';
import type { StoredResult } from '../../../src/cache/redis-value.js';
import { ResultCache } from '../../../src/cache/result-cache.js';
import { PlimsollError } from '../../../src/errors.js';
import { Classifier } from '../../../src/inference/classify.js';
import type { Dispatcher } from '../../../src/inference/dispatcher.js';
import { Metrics } from '../../../src/metrics/metrics.js';
import { charactersOf, type RowInput } from '../../../src/models/run/row-input.js';
import { textClassification } from '../../../src/tasks/text-classification.js';
import { tokenClassification } from '../../../src/tasks/token-classification.js';

type Find = (keys: readonly string[]) => Promise<readonly (StoredResult | undefined)[]>;

/** A classifier whose Redis and workers are the test's: the score of a text is its length. */
function fixture(maxBytes: number) {
  const computed: (readonly RowInput[])[] = [];
  const asked: (readonly string[])[] = [];
  const parts: { find: Find; computing: Set<string> } = {
    find: async (keys) => keys.map(() => undefined),
    computing: new Set(),
  };
  const memory = new MemoryTier({ maxBytes, ttlSeconds: 60 });
  const redis = {
    find: (keys: readonly string[]) => {
      asked.push(keys);
      return parts.find(keys);
    },
    store: () => undefined,
  };
  const description = { task: 'text-classification', labels: ['length'], scoring: 'sigmoid' };
  const model = { id: 'm', description };
  const classifier = new Classifier({
    library: { readyNow: () => ({ model, form: { digest: 'd' } }) } as never,
    dispatcher: {
      isComputing: (key: string) => parts.computing.has(key),
      submit: async (...[, texts, , , keyed]: Parameters<Dispatcher['submit']>) => {
        computed.push(texts);
        const rows = texts.map((text) => ({ scores: [charactersOf(text)], truncated: false }));
        rows.forEach((row, index) => {
          keyed?.onResult(keyed.keys[index] ?? '', row);
        });
        return { rows, queueMs: 1, tokenizeMs: 1, runMs: 1 };
      },
    } as never,
    cache: new ResultCache(memory, redis as never),
    metrics: new Metrics(),
    secret: 's',
  });
  const classify = async (...inputs: readonly string[]) => {
    const stop = { signal: new AbortController().signal };
    const request = {
      model: 'm',
      task: textClassification({ inputs, topK: undefined }),
      user: 'u',
    };
    const { results, cached, inputHashes } = await classifier.classify(request, stop);
    return { scores: results.map(([best]) => best?.score), cached, keys: inputHashes };
  };
  return { parts, computed, asked, memory, classify };
}

function stored(score: number): StoredResult {
  return { result: { scores: [score], truncated: false }, expiresAtMs: Date.now() + 60_000 };
}

test('what Redis does not know is computed, each text once, and each result is in its place', async () => {
  const { parts, computed, asked, classify } = fixture(0);
  parts.find = async (keys) => keys.map((_, index) => (index === 1 ? stored(99) : undefined));
  const { scores, cached } = await classify('a', 'bb', 'a', 'ccc', 'bb');
  expect(scores).toEqual([1, 99, 1, 3, 99]);
  expect(cached).toEqual([false, 'redis', false, false, 'redis']);
  expect(computed).toEqual([['a', 'ccc']]);
  expect(asked.map((keys) => keys.length)).toEqual([3]);
});

test('what Redis knows is in memory from now on, and a result whose life is over is not', async () => {
  const { parts, asked, classify } = fixture(1e6);
  parts.find = async ([key]) => (key === undefined ? [] : [stored(7)]);
  expect(await classify('a')).toMatchObject({ scores: [7], cached: ['redis'] });
  expect(await classify('a')).toMatchObject({ scores: [7], cached: ['memory'] });
  expect(asked).toHaveLength(1);
  parts.find = async () => [{ ...stored(7), expiresAtMs: Date.now() - 1 }];
  expect(await classify('old')).toMatchObject({ scores: [3], cached: [false] });
});

test('what is being computed for others is not asked of Redis, and joins them in the queue', async () => {
  const { parts, computed, asked, classify } = fixture(0);
  const { keys } = await classify('a');
  parts.computing = new Set(keys);
  expect(await classify('a', 'bb')).toMatchObject({ scores: [1, 2], cached: [false, false] });
  expect(asked.map(({ length }) => length)).toEqual([1, 1]);
  expect(computed).toEqual([['a'], ['a', 'bb']]);
});

test('what was computed is in memory, each result under its key', async () => {
  const { computed, classify } = fixture(1e6);
  await classify('a', 'bb');
  expect(await classify('bb', 'a')).toMatchObject({ scores: [2, 1], cached: ['memory', 'memory'] });
  expect(computed).toHaveLength(1);
});

test('what came into memory while Redis was asked is not computed again', async () => {
  const { parts, computed, memory, classify } = fixture(1e6);
  parts.find = async ([key = '']) => {
    memory.set(key, { scores: [42], truncated: false });
    return [undefined];
  };
  expect(await classify('a')).toMatchObject({ scores: [42], cached: ['memory'] });
  expect(computed).toEqual([]);
});

describe('a model of many labels', () => {
  const LABELS = 1000;
  /** The score of a label is 1 ÷ (1 + its distance from the text's length). */
  const scoreOf = (text: RowInput, label: number) => 1 / (1 + Math.abs(label - charactersOf(text)));
  function many(maxAnswerScores = 100_000) {
    const runs: { readonly keep: number | undefined; readonly keys: readonly string[] }[] = [];
    const dispatcher = {
      isComputing: () => false,
      submit: async (...[, texts, , , keyed]: Parameters<Dispatcher['submit']>) => {
        const { keep, keys = [] } = keyed ?? {};
        runs.push({ keep, keys });
        const rows = texts.map((text) => {
          const all = Array.from({ length: LABELS }, (_, label) => scoreOf(text, label));
          if (keep === undefined) return { scores: all, truncated: false };
          const labels = all.map((_, label) => label).sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0));
          const best = labels.slice(0, keep);
          return { labels: best, scores: best.map((label) => all[label] ?? 0), truncated: false };
        });
        for (const [index, row] of rows.entries()) keyed?.onResult(keys[index] ?? '', row);
        return { rows, queueMs: 1, tokenizeMs: 1, runMs: 1 };
      },
    };
    const labels = Array.from({ length: LABELS }, (_, label) => `label ${label}`);
    const description = { task: 'text-classification', labels, scoring: 'sigmoid' };
    const model = { id: 'm', description };
    const classifier = new Classifier({
      library: { readyNow: () => ({ model, form: { digest: 'd' } }) } as never,
      dispatcher: dispatcher as never,
      cache: new ResultCache(new MemoryTier({ maxBytes: 1e7, ttlSeconds: 60 }), undefined),
      metrics: new Metrics(),
      secret: 's',
      maxAnswerScores,
    });
    const classify = async (inputs: readonly string[], topK?: number) =>
      classifier.classify(
        { model: 'm', task: textClassification({ inputs, topK }), user: 'u' },
        { signal: new AbortController().signal },
      );
    return { runs, classify };
  }

  test('gets the best of a worker, and few of them serve who wants no more', async () => {
    const { runs, classify } = many();
    const one = await classify(['12345'], 1);
    expect(one.results).toEqual([[{ label: 'label 5', score: 1 }]]);
    const ten = await classify(['12345'], 10);
    expect(ten.cached).toEqual(['memory']);
    expect(ten.results[0]).toHaveLength(10);
    expect(runs.map(({ keep }) => keep)).toEqual([16]);
    // More than were kept are computed, under a key of their own.
    const more = await classify(['12345'], 100);
    expect(more.cached).toEqual([false]);
    expect(more.results[0]?.slice(0, 10)).toEqual(ten.results[0]);
    expect(runs.map(({ keep }) => keep)).toEqual([16, 100]);
    expect(runs[1]?.keys).not.toEqual(runs[0]?.keys);
    expect((await classify(['12345'], 1)).cached).toEqual(['memory']);
  });

  test('once computed whole, serves any number', async () => {
    const { runs, classify } = many();
    const all = await classify(['123']);
    expect(all.results[0]).toHaveLength(LABELS);
    for (const topK of [1, 16, 17, 999, 1000, 5000]) {
      const some = await classify(['123'], topK);
      expect(some.cached).toEqual(['memory']);
      expect(some.results[0]).toEqual(all.results[0]?.slice(0, topK));
    }
    expect(runs.map(({ keep }) => keep)).toEqual([undefined]);
  });

  test('is refused an answer that would be too large, before anything runs', async () => {
    const { runs, classify } = many(5000);
    const inputs = Array.from({ length: 6 }, (_, n) => 'x'.repeat(n + 1));
    await expect(classify(inputs)).rejects.toMatchObject({ code: 'ANSWER_TOO_LARGE' });
    expect(runs).toEqual([]);
    expect((await classify(inputs, 800)).results).toHaveLength(6);
    expect((await classify(inputs.slice(1))).results).toHaveLength(5);
  });
});

test('entities are counted as they are found: an answer with too many is refused, from the cache too', async () => {
  const memory = new MemoryTier({ maxBytes: 1e7, ttlSeconds: 60 });
  const entity = { label: 'PER', score: 1, word: 'a', start: 0, end: 1, index: 1 };
  let ran = 0;
  const labels = ['O', 'B-PER'];
  const description = { task: 'token-classification', labels, scoring: 'softmax' };
  const model = { id: 'm', description };
  const classifier = new Classifier({
    library: { readyNow: () => ({ model, form: { digest: 'd' } }) } as never,
    dispatcher: {
      isComputing: () => false,
      submit: async (...[, texts, { signal }, , keyed]: Parameters<Dispatcher['submit']>) => {
        const rows = texts.map((text) => ({
          ...{ scores: [], truncated: false },
          entities: Array.from({ length: charactersOf(text) }, () => entity),
        }));
        for (const [index, row] of rows.entries()) {
          signal.throwIfAborted();
          ran += 1;
          keyed?.onResult(keyed.keys[index] ?? '', row);
        }
        signal.throwIfAborted();
        return { rows, queueMs: 1, tokenizeMs: 1, runMs: 1 };
      },
    } as never,
    cache: new ResultCache(memory, undefined),
    metrics: new Metrics(),
    secret: 's',
    maxAnswerScores: 100,
  });
  const ask = async (...texts: readonly string[]) => {
    const asked = { texts, aggregation: undefined, ignoreLabels: [], stride: undefined };
    const task = tokenClassification(asked);
    const stop = { signal: new AbortController().signal };
    return (await classifier.classify({ model: 'm', task, user: 'u' }, stop)).results.flat().length;
  };
  const texts = Array.from({ length: 9 }, (_, at) => `${at}`.padEnd(40, 'x'));
  await expect(ask(...texts)).rejects.toMatchObject({
    ...{ code: 'ANSWER_TOO_LARGE', status: 413, message: expect.stringContaining('100 entities') },
  });
  // The rest has not run.
  expect(ran).toBe(3);
  expect(await ask(...texts.slice(0, 2))).toBe(80);
  await expect(ask(...texts.slice(0, 3))).rejects.toMatchObject({ code: 'ANSWER_TOO_LARGE' });
  expect(ran).toBe(3);
});

test('a model that is replaced while its form is gone answers with the labels of the version that is there, under its keys', async () => {
  const version = (digest: string, label: string) => ({
    model: {
      id: 'm',
      description: { task: 'text-classification', labels: [label], scoring: 'sigmoid' },
    },
    form: { digest },
  });
  const [old, now] = [version('d1', 'old'), version('d2', 'now')];
  const asked: string[] = [];
  const memory = new MemoryTier({ maxBytes: 1e6, ttlSeconds: 60 });
  const classifier = new Classifier({
    library: {
      readyNow: () => old,
      removeIfDamaged: async () => true,
      ready: async () => now,
    } as never,
    dispatcher: {
      isComputing: () => false,
      submit: async (...[{ form }, texts, , , keyed]: Parameters<Dispatcher['submit']>) => {
        asked.push(`${form.digest} ${keyed?.keys[0]}`);
        if (form.digest === 'd1') throw new PlimsollError('FORM_REPLACED', 'replaced');
        const row = { scores: [0.5], truncated: false };
        keyed?.onResult(keyed.keys[0] ?? '', row);
        return { rows: texts.map(() => row), queueMs: 1, tokenizeMs: 1, runMs: 1 };
      },
    } as never,
    cache: new ResultCache(memory, undefined as never),
    metrics: new Metrics(),
    secret: 's',
  });
  const task = textClassification({ inputs: ['a'], topK: undefined });
  const stop = { signal: new AbortController().signal };
  const { results } = await classifier.classify({ model: 'm', task, user: 'u' }, stop);
  expect(results).toEqual([[{ label: 'now', score: 0.5 }]]);
  const [first = '', second = ''] = asked;
  expect(asked.map((each) => each.slice(0, 2))).toEqual(['d1', 'd2']);
  expect(first.slice(3)).not.toBe(second.slice(3));
});
