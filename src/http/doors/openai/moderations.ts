import { MODERATION_CATEGORIES } from '../../../contract/doors/openai.js';
import { PlimsollError } from '../../../errors.js';
import type { Moderation } from '../../../models/intake/reading/overrides.js';
import { fieldsIn, kindOf, listIn, odd, textIn } from '../../calls/fields.js';

/** By label of the model: the categories that it stands for, and the score from which it counts. */
export type Moderations = Readonly<Record<string, Moderation>>;

/** What OpenAI's clients read of one input. */
export interface ModerationResult {
  readonly flagged: boolean;
  readonly categories: Readonly<Record<string, boolean | null>>;
  readonly category_scores: Readonly<Record<string, number>>;
  readonly category_applied_input_types: Readonly<Record<string, readonly 'text'[]>>;
}

/** The only categories that clients take as null. */
const NULLABLE: ReadonlySet<string> = new Set(['illicit', 'illicit/violent']);
const ASSESSED: readonly 'text'[] = ['text'];

/**
 * The result of one input:
 *
 * 1. A category's score is the highest of the labels that stand for it.
 * 2. It counts where one of its labels has the score from which that label counts.
 * 3. A category that no label stands for was not assessed: no input type was applied to it, and where clients take null
 *    it is null. Its score says nothing.
 */
export function moderated(
  scores: readonly { readonly label: string; readonly score: number }[],
  moderations: Moderations,
): ModerationResult {
  const categories: Record<string, boolean | null> = {};
  const category_scores: Record<string, number> = {};
  const category_applied_input_types: Record<string, readonly 'text'[]> = {};
  for (const category of MODERATION_CATEGORIES) {
    categories[category] = NULLABLE.has(category) ? null : false; // 3
    category_scores[category] = 0;
    category_applied_input_types[category] = [];
  }
  let flagged = false;
  for (const { label, score } of scores) {
    const moderation = Object.hasOwn(moderations, label) ? moderations[label] : undefined;
    if (moderation === undefined) continue;
    const { categories: stands, from } = moderation;
    for (const category of stands) {
      const assessed = category_applied_input_types[category]?.length === 1;
      const before = assessed ? (category_scores[category] ?? 0) : score;
      category_scores[category] = Math.max(before, score); // 1
      categories[category] = categories[category] === true || score >= from; // 2
      category_applied_input_types[category] = ASSESSED;
    }
    flagged ||= score >= from;
  }
  return { flagged, categories, category_scores, category_applied_input_types };
}

/**
 * Checks that a model can moderate.
 *
 * @throws PlimsollError TASK_NOT_SUPPORTED, which says what to write; MODEL_UNUSABLE for a label that it has not
 */
export function moderationsOf(model: {
  readonly id: string;
  readonly labels: readonly string[];
  readonly moderations?: Moderations | undefined;
}): Moderations {
  const { id, labels, moderations } = model;
  if (moderations === undefined || Object.keys(moderations).length === 0) {
    const [label = 'LABEL'] = labels;
    const example = JSON.stringify({
      moderations: { [label]: { categories: ['harassment'], from: 0.5 } },
    });
    throw new PlimsollError(
      'TASK_NOT_SUPPORTED',
      `nobody has said which labels of the model "${id}" (${labels.slice(0, 20).join(', ')}) stand for which categories: write it into plimsoll.json in its folder, such as ${example}`,
    );
  }
  const stray = Object.keys(moderations).find((label) => !labels.includes(label));
  if (stray === undefined) return moderations;
  const message = `plimsoll.json of "${id}" has moderations of the label "${stray}"; its labels are ${labels.slice(0, 20).join(', ')}`;
  throw new PlimsollError('MODEL_UNUSABLE', message);
}

/** What is moderated. */
export interface Moderated {
  readonly texts: readonly string[];
  /** Whether the texts are parts of one input, which has one result. */
  readonly areParts: boolean;
}

/**
 * The texts of a request:
 *
 * 1. A text is one input.
 * 2. In a list of texts each is an input.
 * 3. A list of parts is one input.
 *
 * @throws PlimsollError INVALID_INPUT, also for images, and for a list with texts and parts
 */
export function moderatedTexts(input: unknown, most: number): Moderated {
  if (typeof input === 'string') return { texts: [textIn(input, 'input')], areParts: false }; // 1
  const list = listIn(input, 'input', most);
  const areParts = typeof list[0] !== 'string';
  const texts = list.map((each, index) => {
    const at = `input[${index}]`;
    if (!areParts) return textIn(each, at); // 2
    const { type, text } = fieldsIn(each, at); // 3
    if (type === 'text') return textIn(text, `${at}.text`);
    if (type === 'image_url') {
      throw odd(`${at} is an image; the models of this server read text alone`);
    }
    throw odd(
      `${at}.type is ${typeof type === 'string' ? `"${type.slice(0, 50)}"` : kindOf(type)}, not "text"`,
    );
  });
  return { texts, areParts };
}
