/**
 * How a graph wants to be fed and read, found out by running it: which input takes what, which output holds the
 * logits, and whether a text's scores depend on what runs beside it.
 */
import type { Tensor } from 'onnxruntime-node';
import { messageOf, PlimsollError } from '../../errors.js';
import type { Decision } from '../intake/description.js';
import type { Dtype } from '../intake/dtype.js';
import type { Side } from '../intake/reading/room.js';
import { fixedSizes, possibleBindings, possibleOutputs, type ValueFacts } from '../run/bindings.js';
import { logitsOf, type MappedSession } from '../run/onnx-session.js';
import type { Logits } from '../run/scores.js';
import type { InputBinding, RowGrouping, ServingPlan } from '../run/serving-plan.js';
import type { Encoding } from '../run/tokenizer.js';
import type { InspectOptions } from './preparer-protocol.js';

export interface Inspected {
  readonly plan: ServingPlan;
  readonly decisions: readonly Decision[];
  /** Whether pads were seen to change nothing: its mask is one. */
  readonly areSurePads: boolean;
}

/** A row of that many tokens; the second number makes rows of one length differ. */
export type MakeRow = (tokens: number, variant?: number) => Encoding;

/**
 * Logits differ by this part of the largest of them where nothing but the order of sums does: 4e-6 was seen in
 * fp32, so that ten times as much is an influence, however weak. Half precision rounds each layer's results, and
 * integers round to steps, and so differ by more.
 */
const TOLERANCE: Readonly<Record<Dtype, number>> = {
  ...{ fp32: 5e-5, fp64: 5e-5, q8: 1e-3, q4: 1e-3, fp16: 2e-2, bf16: 5e-2 },
};
/** A scale that is taken over a whole row of integers is another one where pads are in it: a few steps of 1/127. */
const PADDED_TOLERANCE: Readonly<Record<Dtype, number>> = { ...TOLERANCE, q8: 0.1, q4: 0.1 };
/** Pads that a row gets which could do without: they tell a mask from what is none. */
const TRIAL_PADS = 19;
/** Lengths of rows that are run beside one another: a short one, and longer ones. */
const SHORT = 5;
const LONGER = [6, 24, 128];

/**
 * 1. Each way in which the inputs may be bound, with each output that may hold the logits, is run on one row; the
 *    first that gives a row of finite numbers is taken.
 * 2. Rows of unlike length run together, padded as the tokenizer pads, then on the other side; if each has the
 *    logits that it has alone, rows may run together.
 * 3. Otherwise rows of one length do; if these change one another too, each row runs alone.
 * 4. Where names did not tell the inputs apart, a way under which pads change nothing goes before one where they do.
 *
 * @throws PlimsollError MODEL_UNUSABLE with what was found
 */
export async function inspectGraph(
  session: MappedSession,
  makeRow: MakeRow,
  options: InspectOptions,
): Promise<Inspected> {
  const ways = waysOf(session, options);
  let first: Inspected | undefined;
  let failure: unknown;
  for (const way of ways) {
    try {
      const found = await inspectWay(session, way, makeRow, options);
      if (found.areSurePads || !way.isGuess) return found; // 4
      first ??= found;
    } catch (error) {
      failure ??= error;
    }
  }
  if (first !== undefined) return first;
  throw failure instanceof PlimsollError
    ? failure
    : new PlimsollError('MODEL_UNUSABLE', messageOf(failure));
}

interface Way {
  readonly inputs: readonly InputBinding[];
  readonly output: string;
  /** Whether another binding of the inputs might be the right one. */
  readonly isGuess: boolean;
}

function waysOf(session: MappedSession, { labels, perToken }: InspectOptions): readonly Way[] {
  const { inputs, outputs } = session;
  try {
    const bindings = possibleBindings(inputs);
    const names = possibleOutputs(outputs, labels, perToken);
    if (names.length === 0) throw new Error(noOutput(outputs, perToken));
    const isGuess = bindings.length > 1;
    return bindings.flatMap((bound) => names.map((output) => ({ inputs: bound, output, isGuess })));
  } catch (error) {
    throw new PlimsollError('MODEL_UNUSABLE', messageOf(error));
  }
}

function noOutput(outputs: readonly ValueFacts[], perToken: boolean): string {
  const all = outputs.map(({ name, type, shape }) => `${name} ${type} [${shape.join(', ')}]`);
  const found = `its outputs are ${all.join(', ').slice(0, 300)}; none of them holds one row of scores for`;
  if (perToken) {
    return `${found} each token, though config.json names an architecture that ends in ForTokenClassification: mend its architectures, or export the model anew with --task token-classification`;
  }
  const isForTokens = outputs.some(
    ({ name, shape }) => /logits/.test(name.toLowerCase()) && shape.length === 3,
  );
  return isForTokens
    ? `${found} a text: they are scores of tokens, and config.json names no architecture that ends in ForTokenClassification: mend its architectures, or export the model anew with --task text-classification`
    : `${found} a text: an encoder without a classification head cannot be served`;
}

async function inspectWay(
  session: MappedSession,
  way: Way,
  makeRow: MakeRow,
  options: InspectOptions,
): Promise<Inspected> {
  const { rows: fixedRows, length: fixedLength } = fixedSizes(session.inputs);
  const { padTokenId, padTypeId, positionOffset, paddingSide } = options;
  const bare: ServingPlan = {
    ...{ inputs: way.inputs, output: way.output, labelCount: 1, grouping: 'one by one' },
    ...{ padTokenId, padTypeId, positionOffset, paddingSide },
    ...(fixedRows === undefined ? {} : { fixedRows }),
    ...(fixedLength === undefined ? {} : { fixedLength }),
  };
  const most = Math.min(options.maxTokens, fixedLength ?? options.maxTokens);
  const short = makeRow(Math.min(SHORT, most));
  const output = await session.runRaw([short], bare);
  const { labelCount, isWithoutRows } = options.perToken
    ? tokenShapeOf(output, fixedRows ?? 1, fixedLength ?? short.ids.length)
    : shapeOf(output, fixedRows ?? 1);
  const alone: ServingPlan = {
    ...{ ...bare, labelCount },
    ...(options.perToken ? { perToken: true } : {}),
    ...(isWithoutRows || way.inputs.some(({ rank }) => rank === 1) ? { fixedRows: 1 } : {}),
  };
  const trial = new Trial(session, alone, makeRow, options.dtype);
  const found = await trial.grouping(most);
  const plan = { ...alone, ...found.plan };
  const { areSurePads, decision } = found;
  return { plan, areSurePads, decisions: [...inputDecisions(plan), decision] };
}

interface OutputShape {
  readonly labelCount: number;
  /** Whether the rows' dimension was squeezed away, so that the graph takes one row. */
  readonly isWithoutRows: boolean;
}

/** How many labels an output has for each token, from what came out for rows of so many tokens. */
function tokenShapeOf(output: Tensor, rows: number, length: number): OutputShape {
  const { dims, type } = output;
  const labelCount = dims.at(-1) ?? 0;
  if (logitsOf(output) !== undefined && labelCount > 0) {
    const [first, second] = dims;
    if (dims.length === 3 && first === rows && second === length) {
      return { labelCount, isWithoutRows: false };
    }
    if (dims.length === 2 && rows === 1 && first === length) {
      return { labelCount, isWithoutRows: true };
    }
  }
  const reason = `its output is ${type} [${dims.join(', ')}] where scores for each of ${length} tokens of ${rows} texts are expected, as config.json names an architecture that ends in ForTokenClassification`;
  throw new PlimsollError('MODEL_UNUSABLE', reason);
}

/** How many labels an output has, from what came out for so many rows. */
function shapeOf(output: Tensor, rows: number): OutputShape {
  const { dims, type } = output;
  const logits = logitsOf(output);
  const [first, second] = dims;
  if (logits !== undefined && dims.length === 2 && first === rows && second !== undefined) {
    if (second > 0) return { labelCount: second, isWithoutRows: false };
  }
  // One label, and its dimension squeezed away; or the rows' dimension squeezed away.
  if (logits !== undefined && dims.length === 1 && first === rows) {
    return { labelCount: 1, isWithoutRows: false };
  }
  if (logits !== undefined && dims.length < 2 && rows === 1) {
    return { labelCount: first ?? 1, isWithoutRows: true };
  }
  const reason = `its output is ${type} [${dims.join(', ')}] where one row of scores for each of ${rows} texts is expected`;
  throw new PlimsollError('MODEL_UNUSABLE', reason);
}

function inputDecisions({
  inputs,
  output,
  fixedRows,
  fixedLength,
}: ServingPlan): readonly Decision[] {
  const shown = inputs.map(({ name, role, type }) => `${name} (${role}, ${type})`).join(', ');
  const from = 'the graph, by names, types and a run';
  const fixed: Decision[] = [];
  if (fixedRows !== undefined) {
    fixed.push({ about: 'fixed rows', value: String(fixedRows), from: 'the graph' });
  }
  if (fixedLength !== undefined) {
    fixed.push({ about: 'fixed tokens', value: String(fixedLength), from: 'the graph' });
  }
  return [
    { about: 'inputs', value: shown, from },
    { about: 'output', value: output, from },
    ...fixed,
  ];
}

interface Grouping {
  readonly plan: { readonly grouping: RowGrouping; readonly paddingSide: Side };
  readonly decision: Decision;
  readonly areSurePads: boolean;
}

/** Runs of one graph that are held against each other. */
class Trial {
  readonly #session: MappedSession;
  /** How one row runs; of a graph of one length the side of its pads is found out. */
  #alone: ServingPlan;
  readonly #makeRow: MakeRow;
  readonly #tolerance: number;
  readonly #paddedTolerance: number;

  constructor(session: MappedSession, alone: ServingPlan, makeRow: MakeRow, dtype: Dtype) {
    this.#session = session;
    this.#alone = alone;
    this.#makeRow = makeRow;
    this.#tolerance = TOLERANCE[dtype];
    this.#paddedTolerance = PADDED_TOLERANCE[dtype];
  }

  async grouping(maxTokens: number): Promise<Grouping> {
    const short = this.#makeRow(Math.min(SHORT, maxTokens));
    const longer = LONGER.filter((length, at) => at === 0 || length <= maxTokens)
      .map((length) => Math.min(length, maxTokens))
      .map((length) => this.#makeRow(length, 1));
    const { fixedRows, fixedLength } = this.#alone;
    if (fixedLength !== undefined) {
      this.#alone = await this.#paddedWell(short, fixedLength);
    }
    const { paddingSide } = this.#alone;
    if (fixedRows === 1) {
      const areSure = fixedLength !== undefined || (await this.#hasMask(short));
      const from = 'the graph takes one row at a time';
      return { ...grouped('one by one', paddingSide, from), areSurePads: areSure };
    }
    let most = 0;
    for (const side of [paddingSide, paddingSide === 'left' ? 'right' : 'left'] as const) {
      const plan = { ...this.#alone, grouping: 'together', paddingSide: side } as const;
      const off = await this.#worst(
        longer.map((other) => [short, other]),
        plan,
      );
      if (off <= this.#tolerance) {
        const from = `two rows of unlike length have the scores that each has alone (${shown(off)})`;
        return { ...grouped('together', side, from), areSurePads: await this.#hasMask(short) };
      }
      most = most === 0 ? off : most;
    }
    const twins = longer.map(({ ids }) =>
      [0, 1, 2].map((variant) => this.#makeRow(ids.length, variant)),
    );
    const plan = { ...this.#alone, grouping: 'equal length' } as const;
    const off = await this.#worst(twins, plan);
    return off <= this.#tolerance
      ? grouped(
          'equal length',
          paddingSide,
          `pads change its scores (logits by ${shown(most)}), neighbours of the same length do not`,
        )
      : grouped(
          'one by one',
          paddingSide,
          `a row's scores depend on its neighbours (logits by ${shown(off)})`,
        );
  }

  /**
   * The most by which the logits of any row change beside others, as part of the largest; infinite if they cannot
   * run together.
   */
  async #worst(batches: readonly (readonly Encoding[])[], plan: ServingPlan): Promise<number> {
    let worst = 0;
    for (const batch of batches) {
      const alone: Logits[] = [];
      for (const row of batch) alone.push(await this.#logits([row], this.#alone));
      let together: Logits;
      try {
        together = await this.#logits(batch, plan);
      } catch {
        return Number.POSITIVE_INFINITY;
      }
      worst = Math.max(
        worst,
        distance(
          alone.flatMap((row) => [...row]),
          together,
        ),
      );
    }
    return worst;
  }

  /**
   * A graph of one length is always padded, and what the pads hold must not count.
   *
   * 1. On the right first: a text's positions then begin where they do without pads.
   * 2. On the left, for models that read a text's end (XLNet).
   * 3. Neither: refused.
   */
  async #paddedWell(short: Encoding, fixedLength: number): Promise<ServingPlan> {
    if (short.ids.length >= fixedLength) return this.#alone;
    for (const paddingSide of ['right', 'left'] as const) {
      const plan = { ...this.#alone, paddingSide };
      const padTokenId = short.ids.find((id) => id !== plan.padTokenId) ?? plan.padTokenId + 1;
      const other = { ...plan, padTokenId };
      const off = distance(await this.#logits([short], plan), await this.#logits([short], other));
      if (off <= this.#paddedTolerance) return plan; // 1, 2
    }
    const hasMask = this.#alone.inputs.some(({ role }) => role === 'mask');
    const why = hasMask ? '' : ', as it has no attention_mask';
    const reason = `its graph takes exactly ${fixedLength} tokens, and what fills up a shorter text changes its scores${why}: export it with a free length (dynamic axes)${hasMask ? '' : ' or an attention_mask'}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason); // 3
  }

  /**
   * Whether a row that is padded without need has the logits that it has without pads, whatever the pads hold: a pad
   * of 0 would hide itself where ids and mask are taken for one another.
   */
  async #hasMask(short: Encoding): Promise<boolean> {
    const bare = await this.#logits([short], this.#alone);
    const length = short.ids.length;
    const padTokenId = short.ids[Math.floor(length / 2)] ?? 1;
    const plan = {
      ...{ ...this.#alone, fixedLength: this.#alone.fixedLength ?? length + TRIAL_PADS },
      ...{ padTokenId },
    };
    try {
      return distance(bare, await this.#logits([short], plan)) <= this.#paddedTolerance;
    } catch {
      return false;
    }
  }

  #logits(rows: readonly Encoding[], plan: ServingPlan): Promise<Logits> {
    return this.#session.run(rows, plan);
  }
}

function grouped(grouping: RowGrouping, paddingSide: Side, from: string): Grouping {
  const padded = grouping === 'together' ? `, padded on the ${paddingSide}` : '';
  return {
    plan: { grouping, paddingSide },
    decision: { about: 'rows run', value: `${grouping}${padded}`, from: `measured: ${from}` },
    areSurePads: false,
  };
}

function distance(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let [largest, off] = [1, left.length === right.length ? 0 : Number.POSITIVE_INFINITY];
  for (let at = 0; at < left.length; at += 1) {
    const [a, b] = [left[at] ?? 0, right[at] ?? 0];
    largest = Math.max(largest, Math.abs(a));
    off = Math.max(off, Math.abs(a - b));
  }
  return off / largest;
}

function shown(off: number): string {
  return Number.isFinite(off) ? `at most ${off.toPrecision(2)}` : 'they cannot run together';
}
