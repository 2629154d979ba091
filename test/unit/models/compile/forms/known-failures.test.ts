import { describe, expect, test } from 'vitest';
import { PlimsollError } from '../../../../../src/errors.js';
import { KnownFailures } from '../../../../../src/models/compile/forms/known-failures.js';
import type { Dtype } from '../../../../../src/models/intake/dtype.js';
import type { Model } from '../../../../../src/models/intake/repository.js';

const graph = (file: string, dtype: Dtype) => ({ file, dtype, bytes: 1, facts: undefined });
const modelOf = (...graphs: ReturnType<typeof graph>[]) => {
  const [best = graph('none', 'fp32')] = graphs;
  const of = { id: 'm', signature: 's', graphs, graphFile: best.file, dtype: best.dtype };
  return of as unknown as Model;
};
const unusable = (message: string) => new PlimsollError('MODEL_UNUSABLE', message);
const [exact, small] = [graph('onnx/model.onnx', 'fp32'), graph('onnx/model_q4.onnx', 'q4')];

describe('a model that could not be prepared', () => {
  test.each([
    ['names no other graph where there is none', modelOf(exact), 'bad graph', 'bad graph'],
    [
      'names a graph of another type, and how it is taken',
      modelOf(exact, small),
      'bad graph',
      'bad graph. The folder has another graph, onnx/model_q4.onnx: {"dtype": "q4"} in plimsoll.json takes it',
    ],
    [
      'names a graph of the same type, and how it is taken',
      modelOf(exact, graph('model_O2.onnx', 'fp32')),
      'bad graph',
      'bad graph. The folder has another graph, model_O2.onnx: it is taken once onnx/model.onnx is removed',
    ],
    ['does not where it is the tokenizer', modelOf(exact, small), 'no tokenizer', 'no tokenizer'],
  ])('%s', (_, model, reason, message) => {
    const failures = new KnownFailures();
    expect(failures.remembered(model, unusable(reason))).toMatchObject({ message });
    expect(() => failures.throwKnown(model)).toThrow(message);
    failures.forget('m');
    expect(() => failures.throwKnown(model)).not.toThrow();
  });

  test('is asked for again once its files have changed', () => {
    const failures = new KnownFailures();
    failures.remembered(modelOf(exact), unusable('bad graph'));
    expect(failures.of({ ...modelOf(exact), signature: 'other' })).toBeUndefined();
  });
});
