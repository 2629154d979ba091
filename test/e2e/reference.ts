/** Values of the reference models, as the Python pipelines gave them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const REFERENCE = fileURLToPath(new URL('../fixtures/reference', import.meta.url));

export type Scores = Readonly<Record<string, number>>;

export interface Pair {
  readonly text: string;
  readonly text_pair: string;
}

/** Every task; the file of a model has those that it does. */
export interface Expected {
  readonly status: number | readonly number[];
  readonly may_refuse?: number;
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly scores: readonly Scores[];
  readonly pairs: readonly (Pair & { readonly truncated: boolean; readonly scores: Scores })[];
  readonly rerank: readonly {
    readonly query: string;
    readonly documents: readonly string[];
    readonly scores: readonly number[];
    readonly order: readonly number[];
  }[];
  readonly zero_shot: readonly {
    readonly text: string;
    readonly candidate_labels: readonly string[];
    readonly multi_label: boolean;
    readonly hypothesis_template: string;
    readonly labels: readonly string[];
    readonly scores: readonly number[];
  }[];
  readonly token_classification: readonly {
    readonly text: number;
    readonly aggregation_strategy: string;
    readonly stride?: number;
    readonly ignore_labels?: readonly string[];
    readonly entities: readonly (readonly [string, number, string, number, number, number?])[];
  }[];
}

type Always = 'status' | 'tolerance' | 'texts';
/** What is known of a model whose tasks are not. */
export type Known = Pick<Expected, Always | 'may_refuse'> & Partial<Omit<Expected, Always>>;

/** Of a model by its folder; its tasks are known to the caller. */
export function expectedOf(name: string): Expected {
  return JSON.parse(readFileSync(path.join(REFERENCE, name, 'expected.json'), 'utf8')) as Expected;
}

/** Of any model. */
export function knownOf(name: string): Known {
  return expectedOf(name);
}
