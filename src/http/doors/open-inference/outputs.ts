/** From the answer of a task to the tensors of a reply. Pure. */
import type { LabelScore } from '../../../contract/classify.js';
import { PlimsollError } from '../../../errors.js';
import type { Entity } from '../../../models/run/entities.js';
import { NotSupported, type OutputTensor } from './tensors/datatypes.js';

type Numbers = Extract<OutputTensor, { readonly datatype: 'FP32' }>;

/** The best label of each row, of the shape [rows]. */
export function labelTensor(results: readonly (readonly LabelScore[])[]): OutputTensor {
  const texts = results.map(([best]) => best?.label ?? '');
  return { name: 'label', datatype: 'BYTES', shape: [texts.length], texts };
}

/**
 * The score of each label, in the order of the model's labels: of the shape [rows, labels].
 *
 * @param results every label of each row, in any order.
 */
export function scoreTensor(
  results: readonly (readonly LabelScore[])[],
  labels: readonly string[],
): Numbers {
  const places = new Map(labels.map((label, index) => [label, index]));
  const width = labels.length;
  if (places.size < width) {
    const remedy = 'ask for the output label, or send token ids for logits';
    throw new NotSupported(`two labels of the model have the same name: ${remedy}`);
  }
  const numbers = new Array<number>(results.length * width).fill(Number.NaN);
  for (const [row, list] of results.entries()) {
    for (const { label, score } of list) {
      const place = places.get(label);
      if (place !== undefined) numbers[row * width + place] = score;
    }
  }
  if (numbers.some(Number.isNaN)) {
    throw new PlimsollError('INTERNAL', 'an answer lacks some of the model’s labels');
  }
  return { name: 'score', datatype: 'FP32', shape: [results.length, width], numbers };
}

/** The entities of each text as JSON, of the shape [rows]. */
export function entitiesTensor(results: readonly (readonly Entity[])[]): OutputTensor {
  const texts = results.map((entities) => JSON.stringify(entities));
  return { name: 'entities', datatype: 'BYTES', shape: [texts.length], texts };
}

/** Logits of the shape [rows, labels]. */
export function logitsTensor(results: readonly (readonly number[])[], width: number): Numbers {
  return {
    name: 'logits',
    datatype: 'FP32',
    shape: [results.length, width],
    numbers: results.flat(),
  };
}
