/** Templates of hypotheses, as Python's `str.format` reads them with the label as its one argument. Pure. */
import { PlimsollError } from '../errors.js';

/** What a template is made of: texts, and between two of them a label. */
type Pieces = readonly string[];

/** A doubled brace; a field, whose inside is the group; a brace that is neither. */
const BRACES = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;

/** `{}`, or `{0}`; with `!s` and `:s`, which change nothing about a text. */
const FIELD = /^0?(?:!s)?(?::s?)?$/;

/**
 * One hypothesis for each label.
 *
 * 1. `{{` and `}}` are braces of the text.
 * 2. `{}`, `{0}`, `{:s}` and the like stand for the label; `{}` once, `{0}` any number of times, never both.
 * 3. Any other brace is refused, and so is a template without a label.
 *
 * @throws PlimsollError INVALID_REQUEST
 */
export function hypothesesOf(labels: readonly string[], template: string): readonly string[] {
  if (labels.length === 0) {
    throw new PlimsollError('INVALID_REQUEST', 'there are no candidate labels');
  }
  const pieces = piecesOf(template);
  return labels.map((label) => pieces.join(label));
}

function piecesOf(template: string): Pieces {
  const pieces = [''];
  const add = (text: string) => pieces.push((pieces.pop() ?? '') + text);
  let [at, numbered, unnumbered] = [0, 0, 0];
  for (const { 0: found, 1: field, index } of template.matchAll(BRACES)) {
    add(template.slice(at, index));
    at = index + found.length;
    if (found === '{{' || found === '}}') {
      add(found.slice(1)); // 1
      continue;
    }
    if (field === undefined || !FIELD.test(field)) throw stray(found, template); // 3
    if (field.startsWith('0')) numbered += 1;
    else unnumbered += 1;
    pieces.push(''); // 2
  }
  add(template.slice(at));
  if (unnumbered > 1 || unnumbered + numbered === 0 || (unnumbered > 0 && numbered > 0)) {
    throw refused(
      `has to hold {} once, where the label goes, or {0} as often as it goes there; it is ${shown(template)}`,
    );
  }
  return pieces;
}

function stray(brace: string, template: string): PlimsollError {
  return refused(
    `has ${shown(brace)}, which is no place for a label: that is {} or {0}, and a brace of the text is written twice; it is ${shown(template)}`,
  );
}

function refused(what: string): PlimsollError {
  return new PlimsollError('INVALID_REQUEST', `the hypothesis template ${what}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
