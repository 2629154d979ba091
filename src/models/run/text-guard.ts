/**
 * What the lean tokenizer must not be given. Normalisation (Unicode Standard Annex 15) sorts the combining marks
 * behind a letter, and ICU, which JavaScript has, takes time in proportion to the square of their number: 22 s for
 * 256,000. The native tokenizer sorts them in n log n. Text in Unicode's Stream-Safe format has at most 30 in a
 * row, and no writing system comes near that.
 */

/** Four times as many as any honest text has: sorting those takes microseconds. */
const MOST_MARKS = 128;
const LONG_RUN_OF_MARKS = new RegExp(`\\p{M}{${MOST_MARKS + 1}}`, 'u');

/** Whether the text has more combining marks in a row than any honest one. Takes time in proportion to the text. */
export function hasLongMarkRun(text: string): boolean {
  return text.length > MOST_MARKS && LONG_RUN_OF_MARKS.test(text);
}
