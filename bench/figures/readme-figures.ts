/** The few figures of the README. Pure. */
import { stateOf } from '../harness/checks.js';
import type { Result } from '../harness/report.js';
import { capitalised, commandOf, shownMachine, table } from './lines.js';

/** What somebody who looks for a server cares about, in this order. */
export const README_BENCHMARKS: readonly string[] = [
  'reload',
  'share',
  'density',
  'return',
  'recycle',
  'throughput',
  'latency',
];

/** The lines between the marks of the README. @throws Error if a result is missing */
export function readmeFigures(results: readonly Result[]): readonly string[] {
  const chosen = README_BENCHMARKS.map((name) => {
    const found = results.find((result) => result.name === name && result.model === undefined);
    if (found === undefined) throw new Error(`bench/results has no ${name}.json`);
    return found;
  });
  const rows = chosen.map((result) => [
    capitalised(result.about),
    `${result.headline ?? 'not measured'}${isDisturbed(result) ? ' ¹' : ''}`,
    barsOf(result),
    `\`${commandOf(result)}\``,
  ]);
  const machines = [...new Set(chosen.map(({ machine }) => shownMachine(machine)))];
  const note = chosen.some(isDisturbed) ? [' ¹ Measured beside other work on the machine.'] : [];
  return [
    ...table(['what', 'measured', 'targets', 'measure it'], rows),
    '',
    `Measured on ${machines.join(' and on ')}.${note.join('')}`,
  ];
}

function isDisturbed({ disturbed_by: reasons = [] }: Result): boolean {
  return reasons.length > 0;
}

/** `all met`, or how many do not. */
function barsOf({ checks }: Result): string {
  const states = checks.map(stateOf);
  const missed = states.filter((state) => state === 'does not hold').length;
  const unknown = states.filter((state) => state === 'not measured').length;
  if (checks.length === 0) return 'not measured';
  if (missed + unknown === 0) return 'all met';
  const parts = [
    ...(missed === 0 ? [] : [`${missed} of ${checks.length} missed`]),
    ...(unknown === 0 ? [] : [`${unknown} not measured`]),
  ];
  return parts.join(', ');
}
