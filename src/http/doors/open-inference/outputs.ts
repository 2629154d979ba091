/** From the answer of a task to the tensors of a reply. Pure. */
import type { LabelScore } from '../../../contract/classify.js';
import { PlimsollError } from '../../../errors.js';
import type { Entity } from '../../../models/run/entities.js';
import { highest } from '../../../tasks/text-classification.js';
import type { OutputTensor } from './tensors/datatypes.js';

type Numbers = Extract<OutputTensor, { readonly datatype: 'FP32' }>;

/** The best label of each row, of the shape [rows]; of two equal scores the first. */
export function labelTensor(results: readonly (readonly LabelScore[])[]): OutputTensor {
  const texts = results.map((labels) => highest(labels)?.label ?? '');
  return { name: 'label', datatype: 'BYTES', shape: [texts.length], texts };
}

/**
 * The score of each label, in the order of the model's outputs: of the shape [rows, labels]. Labels are told apart by
 * their places, so two of the same name have a score each.
 *
 * @param results every label of each row, in the order of the model's outputs.
 */
export function scoreTensor(
  results: readonly (readonly LabelScore[])[],
  labels: readonly string[],
): Numbers {
  const width = labels.length;
  if (results.some((list) => list.length !== width)) {
    throw new PlimsollError('INTERNAL', 'an answer lacks some of the model’s labels');
  }
  const numbers = results.flatMap((list) => list.map(({ score }) => score));
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
