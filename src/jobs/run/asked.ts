/** What a job asks of its model, row by row. Pure. */
import type { JobRequest, JobTask } from '../../contract/jobs.js';
import { PlimsollError } from '../../errors.js';
import type { LabelScore, RowTask } from '../../inference/row-task.js';
import type { TextInput } from '../../tasks/input.js';
import { rerank } from '../../tasks/rerank.js';
import { textClassification } from '../../tasks/text-classification.js';
import { tokenClassification } from '../../tasks/token-classification.js';
import { zeroShot } from '../../tasks/zero-shot.js';
import type { Columns, OutputColumn } from '../formats/format.js';
import type { JobModel } from '../queue/queue.js';

/** Longest text of a row; longer ones are bad rows. No model reads a hundredth of it. */
export const MAX_TEXT_CHARACTERS = 1_000_000;

/** A job's task: rows to a request, answers to columns. */
export interface AskedTask {
  readonly task: JobTask;
  /** Rows that one input costs. */
  readonly cost: number;
  readonly columns: readonly OutputColumn[];
  /** Answers as columns. */
  readonly of: (inputs: readonly TextInput[]) => RowTask<Columns>;
}

/**
 * 1. The task that is named; else reranking where there is a query, zero-shot where there are labels, else what the model does.
 * 2. What another task would need is refused: it would have no effect in silence.
 *
 * @param own the task of the model itself
 * @throws PlimsollError INVALID_REQUEST
 */
export function askedTask(
  request: JobRequest,
  own: 'text-classification' | 'token-classification',
): AskedTask {
  const task = request.task ?? guessed(request, own); // 1
  refuseStrangers(request, task); // 2
  switch (task) {
    case 'text-classification':
      return texts(request);
    case 'zero-shot-classification':
      return labels(request);
    case 'reranking':
      return query(request);
    case 'token-classification':
      return tokens(request);
  }
}

function guessed(request: JobRequest, own: JobTask): JobTask {
  if (request.query !== undefined) return 'reranking';
  return request.candidate_labels === undefined ? own : 'zero-shot-classification';
}

type Field = Exclude<keyof JobRequest, 'input' | 'output'>;

const FIELDS: Readonly<Record<JobTask, readonly Field[]>> = {
  'text-classification': ['function', 'top_k', 'threshold', 'text_pair'],
  'zero-shot-classification': ['candidate_labels', 'hypothesis_template', 'multi_label'],
  reranking: ['query', 'function'],
  'token-classification': ['aggregation_strategy'],
};

function refuseStrangers(request: JobRequest, task: JobTask): void {
  const own = FIELDS[task];
  for (const field of new Set(Object.values(FIELDS).flat())) {
    if (request[field] !== undefined && !own.includes(field)) {
      throw new PlimsollError('INVALID_REQUEST', `${field} has no meaning in ${task}`);
    }
  }
  const needed = { 'zero-shot-classification': 'candidate_labels', reranking: 'query' } as const;
  const field = task in needed ? needed[task as keyof typeof needed] : undefined;
  if (field !== undefined && request[field] === undefined) {
    throw new PlimsollError('INVALID_REQUEST', `${task} needs ${field}`);
  }
}

const LABEL: OutputColumn = { name: 'label', type: 'text' };
const SCORE: OutputColumn = { name: 'score', type: 'number' };
const SCORES: OutputColumn = { name: 'scores', type: 'json' };

/** The task with its answers as columns. */
function shown<R>(task: RowTask<R>, columnsOf: (answer: R) => Columns): RowTask<Columns> {
  return {
    ...(task.rowCount === undefined ? {} : { rowCount: task.rowCount }),
    plan: (description) => {
      const plan = task.plan(description);
      return { ...plan, answer: (results, first) => columnsOf(plan.answer(results, first)) };
    },
    // Rows of jobs are in their parts, not in the records.
    best: () => undefined,
  };
}

function ofLabels(labels: readonly LabelScore[]): Columns {
  const [best] = labels;
  return { label: best?.label ?? null, score: best?.score ?? null };
}

function ofAllLabels(labels: readonly LabelScore[]): Columns {
  const scores = Object.fromEntries(labels.map(({ label, score }) => [label, score]));
  return { ...ofLabels(labels), scores };
}

function texts(request: JobRequest): AskedTask {
  const { function: own, top_k: top, threshold, all_scores: all = false } = request;
  const several = all || (top ?? 1) > 1;
  const topK = all ? top : (top ?? 1);
  return {
    ...{ task: 'text-classification', cost: 1 },
    columns: several ? [LABEL, SCORE, SCORES] : [LABEL, SCORE],
    of: (inputs) =>
      shown(
        textClassification({ inputs, topK, function: own, threshold }),
        several ? ofAllLabels : ofLabels,
      ),
  };
}

function labels(request: JobRequest): AskedTask {
  const { candidate_labels: candidateLabels = [], multi_label: multiLabel } = request;
  const { hypothesis_template: hypothesisTemplate, all_scores: all = false } = request;
  const how = { candidateLabels, hypothesisTemplate, multiLabel };
  return {
    ...{ task: 'zero-shot-classification', cost: candidateLabels.length },
    columns: all ? [LABEL, SCORE, SCORES] : [LABEL, SCORE],
    of: (inputs) =>
      shown(zeroShot({ texts: inputs.map(plain), ...how }), all ? ofAllLabels : ofLabels),
  };
}

function query({ query: asked = '', function: own }: JobRequest): AskedTask {
  return {
    ...{ task: 'reranking', cost: 1, columns: [SCORE] },
    of: (inputs) =>
      shown(rerank({ query: asked, documents: inputs.map(plain), function: own }), (score) => ({
        score,
      })),
  };
}

function tokens({ aggregation_strategy: aggregation = 'simple' }: JobRequest): AskedTask {
  return {
    ...{ task: 'token-classification', cost: 1, columns: [{ name: 'entities', type: 'json' }] },
    of: (inputs) =>
      shown(tokenClassification({ texts: inputs.map(plain), aggregation }), (entities) => ({
        entities,
      })),
  };
}

function plain(input: TextInput): string {
  return typeof input === 'string' ? input : input.text;
}

/** The input of a row, or why it has none. */
export function inputOf(
  columns: Columns,
  { text = 'text', text_pair: pair }: JobRequest,
): { readonly input: TextInput } | { readonly bad: string } {
  const first = textIn(columns, text);
  if ('bad' in first || pair === undefined) return first;
  const second = textIn(columns, pair);
  return 'bad' in second ? second : { input: { text: first.input, text_pair: second.input } };
}

function textIn(
  columns: Columns,
  name: string,
): { readonly input: string } | { readonly bad: string } {
  if (!Object.hasOwn(columns, name)) return { bad: `there is no column ${name}` };
  const value = columns[name];
  if (typeof value !== 'string') return { bad: `${name} is not a text` };
  if (!/\S/.test(value)) return { bad: `${name} is empty` };
  if (value.length > MAX_TEXT_CHARACTERS) {
    return { bad: `${name} is longer than ${MAX_TEXT_CHARACTERS} characters` };
  }
  return { input: value };
}

/** Columns that the model reads. */
export function textColumns({ text = 'text', text_pair: pair }: JobRequest): readonly string[] {
  return pair === undefined ? [text] : [text, pair];
}

/** Columns that are read. */
export function readColumns(request: JobRequest): readonly string[] {
  return [...new Set([...textColumns(request), ...keptColumns(request)])];
}

/** Columns of the input that go into the parts. */
export function keptColumns({ id, keep = [] }: JobRequest): readonly string[] {
  return [...new Set([...(id === undefined ? [] : [id]), ...keep])];
}

/** What every row of a part says of its model. */
export function modelColumns({ id, commit, dtype }: JobModel): Columns {
  return { model: id, commit, dtype };
}

/** The last columns of a part: the model, and why a row has no answer. */
export const LAST_COLUMNS: readonly OutputColumn[] = ['model', 'commit', 'dtype', 'error'].map(
  (name) => ({ name, type: 'text' }),
);
