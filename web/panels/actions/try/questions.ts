/** What can be asked of a model, and what the form holds for it. Pure. */
import type { ModelOfState, TokenClassificationRequest } from '../../../data/wire.js';

/** One way of asking. */
export type Way = 'text' | 'pair' | 'labels' | 'documents' | 'entities';

export const WAYS: Readonly<Record<Way, { readonly name: string; readonly verb: string }>> = {
  text: { name: 'one text', verb: 'Classify' },
  pair: { name: 'two texts', verb: 'Classify' },
  labels: { name: 'own labels', verb: 'Classify' },
  documents: { name: 'rank documents', verb: 'Rank' },
  entities: { name: 'entities', verb: 'Find entities' },
};

/** How tokens become entities. */
export type Joining = NonNullable<TokenClassificationRequest['aggregation_strategy']>;
export const JOININGS: readonly Joining[] = ['simple', 'first', 'average', 'max', 'none'];

/** What the form holds; each way of asking reads some of it. */
export interface Fields {
  readonly text: string;
  readonly second: string;
  /** One a line. */
  readonly labels: string;
  readonly template: string;
  readonly isMulti: boolean;
  readonly query: string;
  /** One a line. */
  readonly documents: string;
  readonly joining: Joining;
}

export const EXAMPLES: Fields = {
  text: 'Subject: You have won\n\nClick here to claim your free prize now!',
  second: 'The sender wants to sell something.',
  labels: 'advertising\nfraud\nprivate message',
  template: 'This example is {}.',
  isMulti: false,
  query: 'How do I return a parcel?',
  documents:
    'Returns are free within 30 days.\nOur shop is open from nine to five.\nParcels are sent on the same day.',
  joining: 'simple',
};

/**
 * What can be asked of a model.
 *
 * 1. A model of tokens: entities.
 * 2. Own labels first, for a model of natural language inference: its labels say nothing of one text.
 * 3. One text, and two where it reads two; before it has been prepared it is not known, and tried.
 * 4. Documents, for a model with one output.
 */
export function waysOf({ tasks, takes_pairs: takesPairs }: ModelOfState): readonly Way[] {
  if (tasks.includes('token-classification')) return ['entities']; // 1
  return [
    ...(tasks.includes('zero-shot-classification') ? (['labels'] as const) : []), // 2
    'text', // 3
    ...(takesPairs === false ? [] : (['pair'] as const)),
    ...(tasks.includes('rerank') ? (['documents'] as const) : []), // 4
  ];
}

export function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Whether what the way reads is filled in. */
export function isComplete(way: Way, fields: Fields): boolean {
  const isFilled = (text: string) => text.trim() !== '';
  switch (way) {
    case 'text':
    case 'entities':
      return isFilled(fields.text);
    case 'pair':
      return isFilled(fields.text) && isFilled(fields.second);
    case 'labels':
      return isFilled(fields.text) && isFilled(fields.labels);
    case 'documents':
      return isFilled(fields.query) && isFilled(fields.documents);
  }
}

export interface Question {
  readonly way: Way;
  readonly model: string;
  readonly fields: Fields;
}

/** Whether two questions are the same, for the fields that are read. */
export function isSame(one: Question, other: Question): boolean {
  const read = ({ way, model, fields }: Question) => {
    const { text, second, labels, template, isMulti, query, documents, joining } = fields;
    const parts: Readonly<Record<Way, readonly unknown[]>> = {
      text: [text],
      pair: [text, second],
      labels: [text, linesOf(labels), template, isMulti],
      documents: [query, linesOf(documents)],
      entities: [text, joining],
    };
    return JSON.stringify([way, model, parts[way]]);
  };
  return read(one) === read(other);
}
