import type { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  entitiesTensor,
  labelTensor,
  logitsTensor,
  scoreTensor,
} from '../../../../../src/http/doors/open-inference/outputs.js';
import {
  classesOf,
  outputsFor,
  partsOf,
  writeReply,
} from '../../../../../src/http/doors/open-inference/tensors/reply.js';
import type { WantedOutput } from '../../../../../src/http/doors/open-inference/tensors/request.js';
import { readReply } from './client.js';

const LABELS = ['a:b', 'ü', ''];
const wanted = (name: string, fields: Partial<WantedOutput> = {}): WantedOutput => ({
  ...{ name, isBinary: false, classes: undefined, ...fields },
});
const RESULTS = [
  [
    { label: 'a:b', score: 0.25 },
    { label: 'ü', score: 0.5 },
    { label: '', score: 0.125 },
  ],
  [
    { label: 'a:b', score: 0 },
    { label: 'ü', score: 0 },
    { label: '', score: 1 },
  ],
];
const TENSORS = {
  label: () => labelTensor(RESULTS),
  score: () => scoreTensor(RESULTS, LABELS),
};

/** A reply that was not written in slices. */
function whole(body: Buffer | Readable): Buffer {
  if (Buffer.isBuffer(body)) return body;
  throw new Error('it is written in slices');
}

test('a large reply in JSON is written in slices, and is the same text', async () => {
  const results = Array.from({ length: 3000 }, () => RESULTS[0] ?? []);
  const parts = [wanted('label'), wanted('score')];
  const of = { model: 'org/name', id: 'ä', labels: LABELS };
  const tensors = { label: () => labelTensor(results), score: () => scoreTensor(results, LABELS) };
  const { body, jsonBytes } = writeReply(of, parts, tensors);
  if (Buffer.isBuffer(body)) throw new Error('it is written in one piece');
  const slices: string[] = [];
  for await (const slice of body) slices.push(String(slice));
  expect(slices.length).toBeGreaterThan(2);
  const { json, elements } = readReply(Buffer.from(slices.join('')), jsonBytes);
  expect(json).toMatchObject({ model_name: 'org/name', model_version: '1', id: 'ä' });
  expect(elements('label')).toEqual(results.map(() => 'ü'));
  expect(elements('score')).toEqual(results.flatMap(() => [0.25, 0.5, 0.125]));
});

describe('what a client reads is what was written', () => {
  test.each([false, true])('scores stand in the order of the labels; in bytes: %s', (isBinary) => {
    const parts = [wanted('label', { isBinary }), wanted('score', { isBinary })];
    const of = { model: 'org/name', id: 'ä', labels: LABELS };
    const { body, jsonBytes } = writeReply(of, parts, TENSORS);
    expect(jsonBytes === undefined).toBe(!isBinary);
    const { json, elements } = readReply(whole(body), jsonBytes);
    expect(json).toMatchObject({ model_name: 'org/name', model_version: '1', id: 'ä' });
    expect(json.outputs.map(({ shape }) => shape)).toEqual([[2], [2, 3]]);
    expect(elements('label')).toEqual(['ü', '']);
    expect(elements('score')).toEqual([0.25, 0.5, 0.125, 0, 0, 1]);
  });

  test('any numbers and texts, each output in bytes or not', () => {
    const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(
        fc.array(float, { minLength: 1, maxLength: 9 }),
        fc.array(text, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.boolean(),
        (numbers, texts, first, second) => {
          const { body, jsonBytes } = writeReply(
            { model: 'm', id: undefined, labels: [] },
            [wanted('x', { isBinary: first }), wanted('y', { isBinary: second })],
            {
              x: () => logitsTensor([numbers], numbers.length),
              y: () => ({ name: 'y', datatype: 'BYTES', shape: [texts.length], texts }),
            },
          );
          const { json, elements } = readReply(whole(body), jsonBytes);
          expect(json).not.toHaveProperty('id');
          expect([elements('logits'), elements('y')]).toEqual([numbers, texts]);
        },
      ),
    );
  });

  test('entities are JSON', () => {
    const entity = { label: 'PER', score: 0.5, word: 'Ada', start: 0, end: 3 };
    const tensor = entitiesTensor([[entity], []]);
    expect(tensor).toMatchObject({ shape: [2], texts: [JSON.stringify([entity]), '[]'] });
  });
});

describe('classes', () => {
  test('value:index:label, the best first, no more than there are', () => {
    const tensor = scoreTensor(RESULTS, LABELS);
    expect(classesOf(tensor, LABELS, 2)).toEqual({
      ...{ name: 'score', datatype: 'BYTES', shape: [2, 2] },
      texts: ['0.5:1:ü', '0.25:0:a:b', '1:2:', '0:0:a:b'],
    });
    expect(classesOf(tensor, LABELS, 99).shape).toEqual([2, 3]);
  });

  test('a few of very many are those that a sort of all would give', () => {
    const width = 1000;
    const labels = Array.from({ length: width }, (_, index) => `label ${index}`);
    // Every value is there several times.
    const numbers = labels.map((_, index) => Math.fround(((index * 7919) % 97) / 97));
    const many = { name: 'scores', datatype: 'FP32', shape: [1, width], numbers } as const;
    const few = classesOf(many, labels, 5);
    const all = classesOf(many, labels, width);
    if (few.datatype !== 'BYTES' || all.datatype !== 'BYTES') throw new Error('no texts');
    expect(few.texts).toEqual(all.texts.slice(0, 5));
  });

  test('are for numbers only', () => {
    const parts = [wanted('label', { classes: 1 })];
    expect(() => partsOf(parts, ['score'])).toThrow(/which label is not/);
  });
});

describe('which outputs', () => {
  const request = { id: undefined, parameters: {}, inputs: [] };

  test('all in the form that was asked for, where none is named', () => {
    const asked = { ...request, outputs: undefined, isBinary: true };
    expect(outputsFor(asked, ['label', 'score'])).toEqual([
      wanted('label', { isBinary: true }),
      wanted('score', { isBinary: true }),
    ]);
  });

  test('an unknown one is refused', () => {
    const asked = { ...request, outputs: [wanted('logits')], isBinary: false };
    expect(() => outputsFor(asked, ['label', 'score'])).toThrow(/no output "logits".*label, score/);
  });

  test('labels that share a name have a score each, by their places', () => {
    const labels = ['x', 'y', 'x'];
    const results = [labels.map((label, at) => ({ label, score: [0.25, 0, 0.75][at] ?? 0 }))];
    expect(scoreTensor(results, labels)).toMatchObject({ shape: [1, 3], numbers: [0.25, 0, 0.75] });
    expect(labelTensor(results)).toMatchObject({ texts: ['x'] });
    expect(classesOf(scoreTensor(results, labels), labels, 2)).toMatchObject({
      texts: ['0.75:2:x', '0.25:0:x'],
    });
  });

  test('an answer that lacks labels is no tensor', () => {
    expect(() => scoreTensor([[{ label: 'x', score: 1 }]], ['x', 'y'])).toThrow(/lacks/);
  });
});
