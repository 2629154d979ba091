/**
 * Where a long text may be cut before it is tokenized, so that a megabyte costs about as much as the part that
 * fits. Pure. A cut is right only if no token can reach across it, whatever stands on either side: tokenizers
 * divide a text into words first, and a word never learns of the next.
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

/**
 * What divides words for a tokenizer: white space and the marks that end a clause (`words`), blanks alone (`blanks`),
 * or nothing that is known, so that such texts are never cut (`nothing`).
 */
export type WordBreaks = 'words' | 'blanks' | 'nothing';

/** How a tokenizer divides words, from its `tokenizer.json`. */
export function wordBreaksOf(json: JsonObject): WordBreaks {
  const kinds = stepsOf(json.pre_tokenizer).map(breaksOfStep);
  if (kinds.includes('words')) return 'words';
  return kinds.includes('blanks') ? 'blanks' : 'nothing';
}

function stepsOf(preTokenizer: unknown): readonly JsonObject[] {
  if (!isObject(preTokenizer)) return [];
  if (preTokenizer.type !== 'Sequence') return [preTokenizer];
  const steps = preTokenizer.pretokenizers;
  return Array.isArray(steps) ? steps.flatMap(stepsOf) : [];
}

function breaksOfStep(step: JsonObject): WordBreaks {
  switch (step.type) {
    case 'BertPreTokenizer':
    case 'Whitespace':
      return 'words';
    case 'ByteLevel':
      return step.use_regex === false ? 'nothing' : 'words';
    case 'WhitespaceSplit':
      return 'blanks';
    case 'Metaspace':
      return step.split === false ? 'nothing' : 'blanks';
    case 'Split': {
      // The patterns of GPT-2's descendants: runs of letters, of digits, of marks and of white space.
      const pattern = isObject(step.pattern) ? String(step.pattern.Regex ?? '') : '';
      return pattern.includes('\\p{L}') && pattern.includes('\\s') ? 'words' : 'nothing';
    }
    default:
      return 'nothing';
  }
}

/** A letter, and then what ends its word for every tokenizer of that kind. */
const BREAKS: Readonly<Record<Exclude<WordBreaks, 'nothing'>, RegExp>> = {
  words: /\p{L}(?=[ \t\r\n。，！？、；：])/gu,
  blanks: /\p{L}(?= )/gu,
};

/**
 * The first place at or behind `from` where the text may be cut, at most `reach` characters further on.
 *
 * @returns undefined if there is none
 */
export function cutBehind(
  text: string,
  from: number,
  reach: number,
  breaks: WordBreaks,
): number | undefined {
  if (breaks === 'nothing') return undefined;
  const pattern = BREAKS[breaks];
  const window = text.slice(from, from + reach);
  pattern.lastIndex = 0;
  const found = pattern.exec(window);
  return found === null ? undefined : from + found.index + found[0].length;
}

/** Whether the text has a run without a blank that is longer than that. */
export function hasRunOver(text: string, characters: number): boolean {
  let begin = 0;
  while (begin + characters < text.length) {
    const last = text.lastIndexOf(' ', begin + characters);
    if (last < begin) return true;
    begin = last + 1;
  }
  return false;
}
