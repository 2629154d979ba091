/** How a graph is fed and read: decided once, when the model is prepared, and kept beside the mapped form. */
import type { Side } from '../intake/reading/room.js';

/**
 * What an input of a graph takes. `global`: 1 for the tokens that attend to all others (Longformer); of a text's
 * class that is the first token, of the classes of tokens none, as transformers has it. `zeros`: ERNIE's task types.
 */
export type InputRole = 'ids' | 'mask' | 'types' | 'positions' | 'global' | 'zeros';

/** Element types that an input may have, as ONNX Runtime names them. */
export type InputType =
  | 'int64'
  | 'int32'
  | 'uint32'
  | 'uint64'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'float32'
  | 'float64'
  | 'float16';

export interface InputBinding {
  readonly name: string;
  readonly role: InputRole;
  readonly type: InputType;
  /** 2: rows of tokens; 1: the tokens of one row. */
  readonly rank: 1 | 2;
}

/**
 * Which rows may run beside one another. `together`: any, padded to the longest. `equal length`: pads change the
 * scores. `one by one`: even neighbours of the same length do, or the graph takes a single row.
 */
export type RowGrouping = 'together' | 'equal length' | 'one by one';

export interface ServingPlan {
  readonly inputs: readonly InputBinding[];
  /** The output that holds the logits, or what they became. */
  readonly output: string;
  readonly labelCount: number;
  /** The function that the graph itself ends in: its output is turned back into logits. Left out where it has none. */
  readonly endsIn?: 'softmax' | 'sigmoid';
  /** Whether the output has logits for each token, [rows, tokens, labels], rather than for each row. */
  readonly perToken?: boolean;
  readonly grouping: RowGrouping;
  readonly paddingSide: Side;
  readonly padTokenId: number;
  readonly padTypeId: number;
  /** Position of a text's first token, where positions are an input. */
  readonly positionOffset: number;
  /** Rows that the graph takes, no more and no fewer; undefined where that is free. */
  readonly fixedRows?: number;
  /** Tokens of each row that the graph takes, no more and no fewer. */
  readonly fixedLength?: number;
}

/** Which library tokenizes: the lean one in JavaScript, or the native one, the reference. */
export interface TokenizerChoice {
  readonly kind: 'javascript' | 'native';
  /** Texts in which this regular expression finds a character go to the native one. */
  readonly except?: string;
  /** Texts with a longer run without a blank go to the native one, in characters: the lean one takes too long for them. */
  readonly longestRun?: number;
  /** Two texts are refused: the post-processor has no place for them, or the native one frames them in another way. */
  readonly isPairUnknown?: true;
}

/** What preparing a model found out, kept beside its mapped form. */
export interface Findings {
  readonly plan: ServingPlan;
  readonly tokenizer: TokenizerChoice;
  /** The most tokens that the graph takes of a text. */
  readonly maxTokens: number;
  /** Longer texts are refused, as they would not fit into memory; undefined where all fit. */
  readonly memoryCap?: { readonly tokens: number; readonly bytes: number };
  /** What was found, and how, in words. */
  readonly decisions: readonly {
    readonly about: string;
    readonly value: string;
    readonly from: string;
  }[];
}

/** Whether a model reads two texts together. One that labels tokens reads one. */
export function takesPairs({ tokenizer, plan }: Findings): boolean {
  return tokenizer.isPairUnknown !== true && plan.perToken !== true;
}

/** Bounds of a batch of rows that were not chosen to run together. */
export interface BatchBounds {
  readonly rows: number;
  /** Rows × tokens of the longest. */
  readonly tokens: number;
}

/** How rows run that were not chosen to run together: those of nearly equal length do. */
export interface BoundedRun extends BatchBounds {
  /** Asked between batches: whether what is left should not run. */
  readonly isStopped: () => boolean;
}

/** Most pads of a bounded batch, as a part of its tokens: more would cost what a run less saves. */
const MOST_PADDING = 0.05;

/**
 * Divides rows into batches that may run, each a list of their numbers. Pure.
 *
 * 1. A graph of a fixed number of rows: that many at a time.
 * 2. `one by one`: each alone.
 * 3. `equal length`: those of one length; together they are padded nowhere.
 * 4. `together`: all of them; with bounds, those of nearly equal length.
 */
export function batchesOf(
  lengths: readonly number[],
  { grouping, fixedRows, fixedLength }: ServingPlan,
  bounds?: BatchBounds,
): readonly (readonly number[])[] {
  const all = lengths.map((_, row) => row);
  const lengthOf = (row: number) => fixedLength ?? lengths[row] ?? 0;
  const groups =
    grouping === 'together' || (grouping === 'equal length' && fixedLength !== undefined)
      ? alike(all, lengthOf, bounds) // 4
      : grouping === 'equal length'
        ? [...groupBy(all, lengthOf)].flatMap((rows) => alike(rows, lengthOf, bounds)) // 3
        : all.map((row) => [row]); // 2
  if (fixedRows === undefined) return groups;
  return groups.flatMap((rows) => slices(rows, fixedRows)); // 1
}

/** Rows in the order of their lengths, cut where a batch would exceed the bounds or {@link MOST_PADDING}. */
function alike(
  rows: readonly number[],
  lengthOf: (row: number) => number,
  bounds: BatchBounds | undefined,
): readonly (readonly number[])[] {
  if (bounds === undefined || rows.length < 2) return [rows];
  const batches: number[][] = [];
  let batch: number[] = [];
  let tokens = 0;
  for (const row of [...rows].sort((a, b) => lengthOf(a) - lengthOf(b))) {
    const length = lengthOf(row);
    const padded = length * (batch.length + 1);
    const isFull = batch.length === bounds.rows || padded > bounds.tokens;
    if (batch.length === 0 || isFull || padded - tokens - length > MOST_PADDING * padded) {
      batch = [];
      tokens = 0;
      batches.push(batch);
    }
    batch.push(row);
    tokens += length;
  }
  return batches;
}

function groupBy(rows: readonly number[], keyOf: (row: number) => number): Iterable<number[]> {
  const groups = new Map<number, number[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups.values();
}

function slices(rows: readonly number[], size: number): readonly (readonly number[])[] {
  const found: (readonly number[])[] = [];
  for (let at = 0; at < rows.length; at += size) found.push(rows.slice(at, at + size));
  return found;
}

/** What a plan says of a graph's output, for the model's description. */
export function readingOf({
  labelCount,
  endsIn,
}: ServingPlan): Pick<ServingPlan, 'labelCount' | 'endsIn'> {
  return { labelCount, ...(endsIn === undefined ? {} : { endsIn }) };
}
