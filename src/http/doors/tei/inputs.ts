import type { TextInput } from '../../../tasks/input.js';
import { kindOf, odd, pairIn, textIn } from '../../calls/fields.js';
import { EmptyBatch } from './errors.js';

/** What `/predict` is asked. */
export interface Predicted {
  readonly inputs: readonly TextInput[];
  readonly isBatch: boolean;
}

/**
 * Reads the field `inputs` of `/predict`:
 *
 * 1. A text is one input.
 * 2. A list of texts is one input too: a text, or a pair of texts. It is no batch.
 * 3. A list of lists is a batch, of which each list is one input.
 *
 * @throws PlimsollError INVALID_INPUT; EmptyBatch
 */
export function predicted(inputs: unknown, most: number): Predicted {
  if (typeof inputs === 'string') return { inputs: [textIn(inputs, 'inputs')], isBatch: false }; // 1
  if (!Array.isArray(inputs)) {
    throw odd(`inputs is ${kindOf(inputs)}, not a text, a pair of texts, or a batch of lists`);
  }
  if (inputs.length === 0) throw new EmptyBatch('inputs');
  if (!Array.isArray(inputs[0])) return { inputs: [single(inputs, 'inputs')], isBatch: false }; // 2
  if (inputs.length > most) {
    throw odd(`batch size ${inputs.length} > maximum allowed batch size ${most}`);
  }
  return {
    inputs: inputs.map((each: unknown, index) => single(each, `inputs[${index}]`)), // 3
    isBatch: true,
  };
}

function single(value: unknown, at: string): TextInput {
  if (!Array.isArray(value)) throw odd(`${at} is ${kindOf(value)}, not a list of one or two texts`);
  const [first, second, ...more] = value as readonly unknown[];
  if (value.length === 0 || more.length > 0) {
    throw odd(
      `${at} has ${value.length} texts: one is a text, two are a pair, and a batch is a list of lists ([["a"], ["b"]])`,
    );
  }
  const [one, two] = [`${at}[0]`, `${at}[1]`];
  return value.length === 1 ? textIn(first, one) : pairIn(first, second, [one, two]);
}
