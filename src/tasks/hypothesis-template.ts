/** Templates of hypotheses, as Python's `str.format` reads them with the label as its one argument. Pure. */
import { PlimsollError } from '../errors.js';

/** What a template is made of: texts, and between two of them a label. */
type Pieces = readonly string[];

/** A doubled brace; a field, whose inside is the group; a brace that is neither. */
const BRACES = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;

/** `{}`, or `{0}`; with `!s` and `:s`, which change nothing about a text. */
const FIELD = /^0?(?:!s)?(?::s?)?$/;

/**
 * Characters of all hypotheses of a request: a short template that names its label a thousand times, and a thousand labels,
 * would be gigabytes.
 */
const MOST_CHARACTERS = 4 * 2 ** 20;

/**
 * One hypothesis for each label.
 *
 * 1. `{{` and `}}` are braces of the text.
 * 2. `{}`, `{0}`, `{:s}` and the like stand for the label; `{}` once, `{0}` any number of times, never both.
 * 3. Any other brace is refused, and so is a template without a label.
 * 4. So are hypotheses of more characters than {@link MOST_CHARACTERS}, before one of them is made.
 *
 * @throws PlimsollError INVALID_REQUEST
 */
export function hypothesesOf(labels: readonly string[], template: string): readonly string[] {
  if (labels.length === 0) {
    throw new PlimsollError('INVALID_REQUEST', 'there are no candidate labels');
  }
  const pieces = piecesOf(template);
  refuseLong(labels, pieces); // 4
  return labels.map((label) => pieces.join(label));
}

function refuseLong(labels: readonly string[], pieces: Pieces): void {
  const sum = (texts: readonly string[]) => texts.reduce((all, { length }) => all + length, 0);
  const characters = labels.length * sum(pieces) + sum(labels) * (pieces.length - 1);
  if (characters <= MOST_CHARACTERS) return;
  throw new PlimsollError(
    'INVALID_REQUEST',
    `the hypotheses of ${labels.length} labels have ${characters} characters together; the most is ${MOST_CHARACTERS}: shorten the template or the labels, or send fewer labels in one request`,
  );
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
