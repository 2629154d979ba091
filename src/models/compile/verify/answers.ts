/** Runs the probe set on open forms of a model: what they answer, and how long they take. */
import type { MappedSession } from '../../run/onnx-session.js';
import { scoresOf } from '../../run/scores.js';
import type { ServingPlan } from '../../run/serving-plan.js';
import type { Encoding } from '../../run/tokenizer.js';
import type { Labelling } from './judge.js';
import type { Speed } from './verdict.js';

/** A form that is open, and how it is fed. */
export interface OpenForm {
  readonly session: MappedSession;
  readonly plan: ServingPlan;
}

type Row = readonly number[];

/** Rows of a batch in which neighbours are tried. */
export const PROBE_BATCH = 8;
/** Rounds in which two forms are timed in turn. */
const TIMED_ROUNDS = 6;
const US_PER_MS = 1000;

/** Scores of rows, in batches of that size. */
export async function answersOf(
  { session, plan }: OpenForm,
  rows: readonly Encoding[],
  { scoring }: Labelling,
  batch: number,
): Promise<readonly Row[]> {
  const answers: Row[] = [];
  for (let at = 0; at < rows.length; at += batch) {
    const logits = await session.run(rows.slice(at, at + batch), plan);
    answers.push(...scoresOf(logits, plan.labelCount, scoring));
  }
  return answers;
}

/** CPU time of the reference ÷ that of the form, for one row and for a batch. */
export async function speedOf(
  reference: OpenForm,
  form: OpenForm,
  row: Encoding,
  batch: readonly Encoding[],
): Promise<Speed> {
  const [oneRow, whole] = [
    await factor(reference, form, [row]),
    await factor(reference, form, batch),
  ];
  return { oneRow, batch: whole };
}

/** Least times of runs in turn: what else the machine does only ever adds to them. */
async function factor(
  reference: OpenForm,
  form: OpenForm,
  rows: readonly Encoding[],
): Promise<number> {
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round <= TIMED_ROUNDS; round += 1) {
    for (const [index, { session, plan }] of [reference, form].entries()) {
      const begun = process.cpuUsage();
      await session.run(rows, plan);
      const { user, system } = process.cpuUsage(begun);
      // The first run of a session faults its weights in.
      if (round > 0) least[index] = Math.min(least[index] ?? 0, (user + system) / US_PER_MS);
    }
  }
  const [own = 1, other = 1] = least;
  return own / Math.max(1 / US_PER_MS, other);
}
