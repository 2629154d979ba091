import type { TextInput } from '../../../tasks/input.js';
import { anyTextIn, anyTextsIn, fieldsIn, listIn, odd, oneOrMore } from '../../calls/fields.js';

/**
 * The pairs of `/score`: one text with each of several, or two lists of one length with each other.
 *
 * @throws PlimsollError INVALID_INPUT
 */
export function scoredPairs(first: unknown, second: unknown, most: number): readonly TextInput[] {
  const left = oneOrMore(first, 'text_1', most);
  const right = typeof second === 'string' ? [second] : anyTextsIn(second, 'text_2', most);
  if (left.length !== 1 && left.length !== right.length) {
    throw odd(
      `text_1 has ${left.length} texts and text_2 has ${right.length}: text_1 is one text, or as many as text_2`,
    );
  }
  const [only = ''] = left;
  return right.map((text_pair, index) => ({ text: left[index] ?? only, text_pair }));
}

/** The documents of `/rerank`: texts, or objects with one; some may be empty. @throws PlimsollError INVALID_INPUT */
export function documentsIn(documents: unknown, most: number): readonly string[] {
  return listIn(documents, 'documents', most).map((each, index) => {
    const at = `documents[${index}]`;
    if (typeof each !== 'object' || each === null) return anyTextIn(each, at);
    return anyTextIn(fieldsIn(each, at).text, `${at}.text`);
  });
}

/** Whether the outputs of the model are wanted as they are; undefined: the model's own function. */
export function functionOf({
  softmax,
  activation,
  use_activation: use,
}: {
  readonly softmax?: boolean | null;
  readonly activation?: boolean | null;
  readonly use_activation?: boolean | null;
}): 'none' | undefined {
  return use === false || activation === false || softmax === false ? 'none' : undefined;
}
