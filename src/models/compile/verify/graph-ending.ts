/** Whether a graph gives logits, or has turned them into probabilities already. */
import type { GraphFacts } from '../../intake/graph/graph-facts.js';
import { readGraphFacts } from '../../intake/graph/graph-facts.js';
import type { MappedSession } from '../../run/onnx-session.js';
import type { ServingPlan } from '../../run/serving-plan.js';
import type { MakeRow } from '../inspect-graph.js';
import type { SourceGraph } from './source-graph.js';

type Ending = NonNullable<ServingPlan['endsIn']>;

/** Operators whose values are probabilities. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  ...{ Softmax: 'softmax', QLinearSoftmax: 'softmax' },
  ...{ Sigmoid: 'sigmoid', QLinearSigmoid: 'sigmoid' },
};
const LENGTHS = [5, 17];
/** By how much the sum of a row of probabilities may differ from 1: half precision rounds each of them. */
const ROUNDING = 1e-2;

/**
 * 1. The operator that makes the output is Softmax or Sigmoid.
 * 2. What came out of it in a run is probabilities: Softmax over another axis than the labels is no ending.
 *
 * @param source the graph before it was optimised: ONNX Runtime may fuse its last operators
 */
export async function endingOf(
  session: MappedSession,
  source: SourceGraph,
  plan: ServingPlan,
  makeRow: MakeRow,
): Promise<Ending | undefined> {
  const facts: GraphFacts | undefined = await readGraphFacts(source.graphFile).catch(
    () => undefined,
  );
  const ending = ENDINGS[facts?.madeBy.get(plan.output) ?? '']; // 1
  if (ending === undefined) return undefined;
  const most = plan.fixedLength ?? Number.POSITIVE_INFINITY;
  for (const length of LENGTHS) {
    const values = await session.run([makeRow(Math.min(length, most))], plan);
    for (let at = 0; at < values.length; at += plan.labelCount) {
      const row = [...values.subarray(at, at + plan.labelCount)];
      const sum = row.reduce((all, value) => all + value, 0);
      const areWithin = row.every((value) => value >= 0 && value <= 1);
      if (!areWithin || (ending === 'softmax' && Math.abs(sum - 1) > ROUNDING)) return undefined; // 2
    }
  }
  return ending;
}
