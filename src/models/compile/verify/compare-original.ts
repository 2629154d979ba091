/** Whether a compiled form gives what the graph gives that it was made from. */
import { messageOf, PlimsollError } from '../../../errors.js';
import type { Decision } from '../../intake/description.js';
import type { Dtype } from '../../intake/dtype.js';
import { MappedSession } from '../../run/onnx-session.js';
import type { ServingPlan } from '../../run/serving-plan.js';
import type { MakeRow } from '../inspect-graph.js';
import type { SourceGraph } from './source-graph.js';

/**
 * Most by which logits may differ, as a part of the largest of them. Optimising changes the order of sums (1e-6 in
 * fp32); fused products of integers round elsewhere, and each step of theirs is 1/127 of the largest value.
 */
const TOLERANCE: Readonly<Record<Dtype, number>> = {
  ...{ fp32: 1e-3, fp64: 1e-3, fp16: 2e-2, bf16: 5e-2, q8: 0.1, q4: 0.1 },
};
const LENGTHS = [6, 17, 40];

/** The compiled form gives something else than its graph: with less optimised it may not. */
export class FormDiffers extends PlimsollError {
  /** By how much, in words. */
  readonly shift: string;

  constructor(shift: string, allowed: number) {
    const reason = `its compiled form does not give what its own graph gives: ${shift}, ${allowed} is allowed`;
    super('MODEL_UNUSABLE', reason);
    this.shift = shift;
  }
}

/**
 * Runs a few rows on the original graph, with nothing optimised, and on the compiled form.
 *
 * @returns what was found, in words
 * @throws FormDiffers if they differ
 */
export async function compareWithOriginal(
  compiled: MappedSession,
  { graphFile, dataFolder, isApart }: SourceGraph,
  plan: ServingPlan,
  makeRow: MakeRow,
  dtype: Dtype,
): Promise<Decision> {
  const about = 'compiled form';
  let original: MappedSession;
  try {
    original = await MappedSession.openOriginal(graphFile, isApart ? dataFolder : undefined);
  } catch (error) {
    const from = `the graph cannot be opened unoptimised: ${messageOf(error).slice(0, 200)}`;
    return { about, value: 'not compared with its original', from };
  }
  try {
    let [largest, off] = [1, 0];
    const most = plan.fixedLength ?? Number.POSITIVE_INFINITY;
    for (const [variant, length] of LENGTHS.entries()) {
      const row = makeRow(Math.min(length, most), variant);
      const [expected, found] = [await original.run([row], plan), await compiled.run([row], plan)];
      for (const [at, value] of expected.entries()) {
        largest = Math.max(largest, Math.abs(value));
        off = Math.max(off, Math.abs(value - (found[at] ?? Number.NaN)));
      }
    }
    const shift = `logits differ by ${(off / largest).toPrecision(2)} at most`;
    const from = `measured: the unoptimised graph on ${LENGTHS.length} rows`;
    if (off / largest <= TOLERANCE[dtype])
      return { about, value: 'as its original', from: `${from}, ${shift}` };
    throw new FormDiffers(shift, TOLERANCE[dtype]);
  } finally {
    await original.release();
  }
}
