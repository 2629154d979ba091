import { PlimsollError } from '../../errors.js';
import type { TextInput } from '../../tasks/input.js';
import type { Columns, InputRow } from '../formats/format.js';

/** A row of the input with its answer, or with why it has none. */
export type AnsweredRow = { readonly row: InputRow } & (
  | { readonly answer: Columns }
  | { readonly bad: string }
);

export interface Asking {
  /** The input of a row, or why it has none. */
  readonly inputOf: (row: InputRow) => { readonly input: TextInput } | { readonly bad: string };
  /** One answer for each input. */
  readonly ask: (inputs: readonly TextInput[]) => Promise<readonly Columns[]>;
  /** Rows that are asked together. */
  readonly pieceRows: number;
  /** Pieces that are asked at once. */
  readonly atOnce: number;
}

/**
 * Asks for the rows of a shard, in order. Only some pieces are held at once.
 *
 * 1. Rows without an input are told apart.
 * 2. A piece that is refused for one of its inputs is asked again, row by row.
 * 3. Every other failure is the shard’s.
 */
export async function* answeredRows(
  slices: AsyncIterable<readonly InputRow[]>,
  asking: Asking,
): AsyncGenerator<readonly AnsweredRow[]> {
  const running: Promise<readonly AnsweredRow[]>[] = [];
  for await (const slice of slices) {
    for (let at = 0; at < slice.length; at += asking.pieceRows) {
      const piece = answered(slice.slice(at, at + asking.pieceRows), asking);
      // Whoever awaits it may be behind another one that fails first.
      piece.catch(() => undefined);
      running.push(piece);
      if (running.length < asking.atOnce) continue;
      const first = await running.shift();
      if (first !== undefined) yield first;
    }
  }
  for (const piece of running) yield await piece;
}

async function answered(
  rows: readonly InputRow[],
  asking: Asking,
): Promise<readonly AnsweredRow[]> {
  const all = rows.map((row) => ({ row, found: asking.inputOf(row) }));
  const inputs = all.flatMap(({ found }) => ('input' in found ? [found.input] : []));
  const answers = await answersOf(inputs, asking);
  let next = 0;
  return all.map(({ row, found }) => {
    if ('bad' in found) return { row, bad: found.bad }; // 1
    return { row, ...(answers[next++] ?? { bad: 'it was left unanswered' }) };
  });
}

type Outcome = { readonly answer: Columns } | { readonly bad: string };

async function answersOf(
  inputs: readonly TextInput[],
  asking: Asking,
): Promise<readonly Outcome[]> {
  if (inputs.length === 0) return [];
  try {
    return (await asking.ask(inputs)).map((answer) => ({ answer }));
  } catch (error) {
    if (!isOfInput(error)) throw error; // 3
    if (inputs.length === 1) return [{ bad: error.message }];
  }
  const outcomes: Outcome[] = [];
  for (const input of inputs) outcomes.push(...(await answersOf([input], asking))); // 2
  return outcomes;
}

/** Errors for which a text is to blame, not the model or the server. */
function isOfInput(error: unknown): error is PlimsollError {
  return (
    error instanceof PlimsollError &&
    (error.code === 'INPUT_REFUSED' || error.code === 'INVALID_INPUT')
  );
}
