/** What the door says of errors, models and their statistics. */
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, PlimsollError } from '../../../../../src/errors.js';
import { availabilityOf } from '../../../../../src/http/doors/open-inference/availability.js';
import { oipErrors, statusOf } from '../../../../../src/http/doors/open-inference/errors.js';
import {
  configOf,
  type DescribedModel,
  metadataOf,
} from '../../../../../src/http/doors/open-inference/metadata.js';
import { statsOf } from '../../../../../src/http/doors/open-inference/statistics.js';
import { NotSupported } from '../../../../../src/http/doors/open-inference/tensors/datatypes.js';
import { ModelStatistics } from '../../../../../src/metrics/model-statistics.js';

describe('errors', () => {
  test.each<[ErrorCode, number]>([
    ['MODEL_NOT_FOUND', 404],
    ['NOT_FOUND', 404],
    ['INVALID_REQUEST', 400],
    ['INVALID_INPUT', 400],
    ['INPUT_REFUSED', 400],
    ['SESSION_ENDED', 400],
    ['ANSWER_TOO_LARGE', 400],
    ['BODY_TOO_LARGE', 413],
    ['QUEUE_FULL', 503],
    ['TOO_MANY_REQUESTS', 503],
    ['MODEL_UNUSABLE', 503],
    ['DEADLINE_EXCEEDED', 503],
    ['INSUFFICIENT_MEMORY', 503],
    ['INTERNAL', 500],
    ['CROSS_SITE', 403],
    ['METHOD_NOT_ALLOWED', 405],
  ])('%s → %i', (code, status) => {
    expect(statusOf(new PlimsollError(code, 'x'))).toBe(status);
  });

  test('what is not supported is 501', () => {
    expect(statusOf(new NotSupported('x'))).toBe(501);
  });

  test('every error has a status of the protocol or of HTTP', () => {
    const allowed = [400, 404, 500, 501, 503, 401, 403, 405, 408, 413, 421, 429, 431, 499];
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      expect(allowed).toContain(statusOf(new PlimsollError(code, 'x')));
    }
  });

  test('the body is the message alone', () => {
    expect(oipErrors.bodyOf(new PlimsollError('NOT_FOUND', 'gone'))).toEqual({ error: 'gone' });
  });
});

const MODEL: DescribedModel = { id: 'm', task: 'text-classification', labels: ['a', 'b', 'c'] };

describe('metadata and configuration', () => {
  test('name what is sent and what comes back', () => {
    const { inputs, outputs, versions } = metadataOf(MODEL);
    expect(versions).toEqual(['1']);
    expect(inputs).toContainEqual({ name: 'text', datatype: 'BYTES', shape: [-1] });
    expect(inputs).toContainEqual({ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] });
    expect(outputs).toEqual([
      { name: 'label', datatype: 'BYTES', shape: [-1] },
      { name: 'score', datatype: 'FP32', shape: [-1, 3] },
      { name: 'logits', datatype: 'FP32', shape: [-1, 3] },
    ]);
  });

  test('the configuration says what may be left out, and the labels', () => {
    const { input, parameters } = configOf(MODEL);
    expect(input.filter(({ optional }) => !optional).map(({ name }) => name)).toEqual(['text']);
    expect(JSON.parse(parameters.labels?.string_value ?? '')).toEqual(['a', 'b', 'c']);
  });

  test('a model that cannot be used has none', () => {
    const broken = { ...MODEL, task: null, reason: 'no graph' };
    expect(() => metadataOf(broken)).toThrow(/no graph/);
  });
});

describe('availability', () => {
  const facts = { state: 'unloaded', last_used_at: null } as const;
  const usedAt = new Date(1000).toISOString();
  test.each([
    ['not loaded yet', facts, undefined, 'READY'],
    ['loaded', { ...facts, state: 'loaded' as const }, 2000, 'READY'],
    ['unloaded here', { ...facts, last_used_at: usedAt }, 2000, 'UNAVAILABLE'],
    ['unloaded here, used and put away since', { ...facts, last_used_at: usedAt }, 500, 'READY'],
    ['broken', { ...facts, state: 'broken' as const, reason: 'x' }, undefined, 'UNAVAILABLE'],
  ])('%s', (_what, of, unloadedAtMs, state) => {
    expect(availabilityOf(of, unloadedAtMs).state).toBe(state);
  });
});

describe('statistics', () => {
  const held = {
    ...{ id: 'm', private_mb: 10, mapped_mb: 5 },
    workers: [
      { worker: 'w1', state: 'cold' as const },
      { worker: 'w2', state: 'unloaded' as const },
    ],
  };

  test('are what was counted', () => {
    const counts = new ModelStatistics();
    const times = { queueMs: 1, tokenizeMs: 2, runMs: 3 };
    const answer = { model: 'm', timing: times };
    counts.answered({ answer: { ...answer, cached: ['memory', false] }, tookMs: 10 });
    counts.answered({ answer: { ...answer, cached: ['memory', 'redis'] }, tookMs: 0.5 });
    counts.failed('m', 7);
    counts.ran('m', 2, times);
    counts.ran('m', 1, times);
    counts.ran('other', 1, times);
    const stats = statsOf(held, counts.of('m'));
    expect(stats).toMatchObject({
      ...{ name: 'm', version: '1', inference_count: 3, execution_count: 2 },
      inference_stats: {
        success: { count: 2, ns: 10_500_000 },
        fail: { count: 1, ns: 7_000_000 },
        queue: { count: 1, ns: 1_000_000 },
        compute_input: { count: 1, ns: 2_000_000 },
        compute_infer: { count: 1, ns: 3_000_000 },
        compute_output: { count: 0, ns: 0 },
        cache_hit: { count: 1, ns: 500_000 },
        cache_miss: { count: 1, ns: 0 },
      },
      memory_usage: [{ type: 'CPU', id: 0, byte_size: 15 * 2 ** 20 }],
    });
    expect(stats.batch_stats.map(({ batch_size: size }) => size)).toEqual([1, 2]);
    expect(stats.last_inference).toBeGreaterThan(0);
  });

  test('are zero for a model that nobody asked, which holds nothing where it is not loaded', () => {
    const stats = statsOf({ ...held, workers: [] }, new ModelStatistics().of('m'));
    expect(stats).toMatchObject({ last_inference: 0, inference_count: 0, memory_usage: [] });
  });
});
