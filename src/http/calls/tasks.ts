import type { Abortable } from '../../cache/abortable.js';
import type { ScoreFunction } from '../../models/intake/reading/scoring.js';
import type { ClassificationService, SessionAnswer } from '../../sessions/service.js';
import type { Asked } from './calls.js';

export type TextInput = string | { readonly text: string; readonly text_pair: string };
export type Aggregation = 'none' | 'simple' | 'first' | 'average' | 'max';
export interface Entity {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
  readonly index?: number;
}
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}
export interface TaskAnswer<R> extends Omit<SessionAnswer, 'results'> {
  readonly results: readonly R[];
}
type Answered<R> = TaskAnswer<R> | Promise<TaskAnswer<R>>;

/** What the doors ask of the tasks. */
export interface TaskService {
  classify(
    request: Asked & {
      readonly inputs: readonly TextInput[];
      readonly topK: number | undefined;
      readonly function?: ScoreFunction | undefined;
      readonly threshold?: number | undefined;
    },
    abort: Abortable,
  ): Answered<readonly LabelScore[]>;
  zeroShot(
    request: Asked & {
      readonly texts: readonly string[];
      readonly candidateLabels: readonly string[];
      readonly hypothesisTemplate?: string | undefined;
      readonly multiLabel?: boolean | undefined;
    },
    abort: Abortable,
  ): Answered<readonly LabelScore[]>;
  rerank(
    request: Asked & {
      readonly query: string;
      readonly documents: readonly string[];
      readonly function?: ScoreFunction | undefined;
    },
    abort: Abortable,
  ): Answered<number>;
  tokens(
    request: Asked & {
      readonly texts: readonly string[];
      readonly aggregation?: Aggregation | undefined;
      readonly ignoreLabels?: readonly string[] | undefined;
      readonly stride?: number | undefined;
    },
    abort: Abortable,
  ): Answered<readonly Entity[]>;
}

export function tasksOf(service: ClassificationService): TaskService {
  return service as unknown as TaskService;
}
