/**
 * Bounds what a text can make a tokenizer do, where that changes nothing for honest texts.
 *
 * Normalisation (Unicode Standard Annex 15) sorts the combining marks behind a letter, and ICU does so in a time
 * that grows with the square of their number: a run of 256,000 takes 22 s. Text in Unicode's Stream-Safe format has
 * at most 30 in a row, and no writing system comes near that.
 */

/** Combining marks in a row that are kept: four times as many as any honest text has. */
const MOST_MARKS = 128;
const LONG_RUN_OF_MARKS = new RegExp(`(\\p{M}{${MOST_MARKS}})\\p{M}+`, 'gu');

/** The text with every run of combining marks cut to its first 128. */
export function withoutLongMarkRuns(text: string): string {
  if (text.length <= MOST_MARKS) return text;
  return text.replaceAll(LONG_RUN_OF_MARKS, '$1');
}
