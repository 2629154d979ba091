import type { Criterion } from '../judge/criteria/criterion.js';
import type { ProofReport } from '../judge/report-schema.js';

/** Findings name every exception; one line has room for the first few. */
const MAX_FINDING = 240;

/**
 * Why a verdict is `failed`, in one line:
 *
 * 1. the run did not come to its end;
 * 2. else the first criterion that does not hold, with what was found;
 * 3. else the first one that had to be told and could not;
 * 4. and how many more there are.
 *
 * @returns null when the verdict is `passed`
 */
export function failureReason({
  verdict,
  run,
  criteria,
}: Pick<ProofReport, 'verdict' | 'run' | 'criteria'>): string | null {
  if (verdict === 'passed') return null;
  if (run.stopped !== null) return `The run was not finished: ${run.stopped}.`;
  const missed = criteria.filter(({ held }) => held === false);
  const open = criteria.filter((one) => one.held === 'cannot tell' && !one.may_stay_open);
  const [first, ...more] = [...missed, ...open];
  if (first === undefined) return 'No criterion was judged.';
  const rest = more.length === 0 ? '' : `; and ${more.length} more`;
  return `${sentence(first)}${rest}.`;
}

function sentence({ claim, value, held }: Criterion): string {
  const finding = value.length > MAX_FINDING ? `${value.slice(0, MAX_FINDING)} …` : value;
  return `“${claim}” ${held === false ? 'does not hold' : 'cannot be told'}: ${finding}`;
}
