import { PlimsollError } from '../errors.js';

/** Models with no more labels always return all of them: that costs little, and one result serves any `top_k`. */
const FEW_LABELS = 64;
/** At least this many labels are kept of a result, so that requests for a few more find it in the cache. */
const LEAST_KEPT = 16;

/** Labels of each input that the caller gets. */
export function wantedLabels(labels: number, topK: number | undefined): number {
  return Math.min(topK ?? labels, labels);
}

/**
 * A short request may mean many rows: texts × labels.
 *
 * @throws PlimsollError INVALID_INPUT
 */
export function checkRows(rows: number, most: number): void {
  if (rows <= most) return;
  const message = `the request makes ${rows} rows for the model; the most is ${most} (request.max_inputs)`;
  throw new PlimsollError('INVALID_INPUT', message);
}

/**
 * Checks the size of an answer before anything of it runs.
 *
 * @throws PlimsollError ANSWER_TOO_LARGE
 */
export function checkAnswerSize(
  request: { readonly inputs: number; readonly labels: number; readonly topK: number | undefined },
  maxScores: number,
): void {
  const { inputs, labels, topK } = request;
  const wanted = wantedLabels(labels, topK);
  const scores = inputs * wanted;
  if (scores <= maxScores) return;
  const fewer = Math.floor(maxScores / wanted);
  const smaller = Math.floor(maxScores / inputs);
  const remedies = [
    ...(fewer > 0 ? [`send at most ${fewer} inputs in one request`] : []),
    ...(smaller > 0 ? [`set top_k to ${smaller} or less`] : []),
  ];
  const message = `${inputs} inputs × ${wanted} labels are ${scores} scores; an answer has at most ${maxScores} (request.max_answer_scores): ${remedies.join(', or ')}`;
  throw new PlimsollError('ANSWER_TOO_LARGE', message);
}

/** Best labels that a worker returns of each input; undefined if it returns all of them. */
export function keptLabels(labels: number, wanted: number): number | undefined {
  if (labels <= FEW_LABELS) return undefined;
  const kept = Math.max(LEAST_KEPT, wanted);
  // An index and a score for each: beyond half of the labels, all of them are shorter.
  return kept * 2 > labels ? undefined : kept;
}

/**
 * Entities of one answer, counted as they are found: how many a text has nobody knows before it has run. With
 * nothing left out each of its tokens is one.
 */
export class EntityBudget {
  readonly #most: number;
  readonly #inputs: number;
  #count = 0;

  constructor(inputs: number, most: number) {
    this.#inputs = inputs;
    this.#most = most;
  }

  /** @returns what the caller is told when there are too many; undefined as long as there are not. */
  add(entities: number): PlimsollError | undefined {
    this.#count += entities;
    if (this.#count <= this.#most) return undefined;
    const message = `the ${this.#inputs} inputs have more than ${this.#most} entities, and an answer has at most that many (request.max_answer_scores): send fewer inputs, or leave labels out with ignore_labels`;
    return new PlimsollError('ANSWER_TOO_LARGE', message);
  }
}
