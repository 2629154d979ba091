/** docs/figures.md: every kept result, with its bars. Pure. */
import type { Check } from '../harness/checks.js';
import { stateOf } from '../harness/checks.js';
import { type Result, shownFigure, stateOfResult } from '../harness/report.js';
import { capitalised, commandOf, shownDisturbance, shownMachine, table } from './lines.js';

const INTRODUCTION = [
  '# Figures',
  '',
  'Written by `npm run docs:figures` from [bench/results](../bench/results), which has the samples behind each figure.',
  'Every benchmark compares two things in one run, or counts what must not happen; `npm run bench -- list` says what',
  'each one does. A result is _disturbed_ if other processes took more than 5 % of the CPU time while it was measured,',
  'other virtual machines more than 2 %, or the machine was busy before: its times are worse than they would be alone.',
];

export function figuresPage(results: readonly Result[]): string {
  const areas = [...new Set(results.map(({ area }) => area))].sort();
  return [
    ...INTRODUCTION,
    '',
    ...machines(results),
    ...rowsOfState(results, 'does not hold', 'What does not hold'),
    ...rowsOfState(results, 'not measured', 'What could not be measured'),
    ...areas.flatMap((area) => [
      '',
      `## ${area}`,
      ...results.filter((result) => result.area === area).flatMap(chapter),
    ]),
    '',
  ].join('\n');
}

function machines(results: readonly Result[]): readonly string[] {
  const found = [...new Set(results.map(({ machine }) => shownMachine(machine)))];
  return found.map((machine) => `Measured on ${machine}.`);
}

/** What a reader wants to know first; nothing where there is none. */
function rowsOfState(
  results: readonly Result[],
  state: 'does not hold' | 'not measured',
  title: string,
): readonly string[] {
  const checks = results.flatMap(({ name, checks: of }) =>
    of
      .filter((check) => stateOf(check) === state)
      .map((check) => [`[\`${name}\`](#${name})`, check.check, shown(check), bar(check)]),
  );
  const whole = results
    .filter((result) => result.checks.length === 0)
    .filter((result) => (stateOfResult(result) === 'not measured') === (state === 'not measured'))
    .map(({ name, not_run: reason }) => [
      `[\`${name}\`](#${name})`,
      '',
      reason ?? 'broke down',
      '',
    ]);
  const rows = [...checks, ...whole];
  if (rows.length === 0) return [];
  return ['', `## ${title}`, '', ...table(['benchmark', 'figure', 'measured', 'bar'], rows)];
}

function chapter(result: Result): readonly string[] {
  const { name, about, headline, checks, facts, not_run: notRun, error } = result;
  const said = headline === undefined || headline === '' ? [] : ['', `**${headline}**`];
  const reason = notRun ?? (error === undefined ? undefined : 'it broke down');
  return [
    '',
    `### ${name}`,
    '',
    `${capitalised(about)}.`,
    ...said,
    ...(reason === undefined ? [] : ['', `Not measured: ${reason}.`]),
    ...(checks.length === 0 ? [] : ['', ...checksTable(checks)]),
    ...(facts.length === 0
      ? []
      : [
          ...['', '<details><summary>Figures around it</summary>', ''],
          ...facts.map(({ fact, value }) => `- ${fact}: ${value}`),
          ...['', '</details>'],
        ]),
    '',
    origin(result),
  ];
}

function checksTable(checks: readonly Check[]): readonly string[] {
  const rows = checks.map((check) => [check.check, shown(check), bar(check), stateOf(check)]);
  return table(['figure', 'measured', 'bar', ''], rows);
}

function shown({ value, unit, not_measured: reason }: Check): string {
  return reason === undefined ? shownFigure(value, unit) : `not measured: ${reason}`;
}

const COMPARISONS: Readonly<Record<string, string>> = { '<=': '≤', '>=': '≥' };

function bar({ bound, unit }: Check): string {
  const [comparison = '', figure = ''] = bound.split(' ');
  const sign = COMPARISONS[comparison] ?? comparison;
  return `${sign} ${shownFigure(Number(figure), unit)}`;
}

/** How to measure it again, and when, what and beside what it was measured. */
function origin(result: Result): string {
  const { started_at: at, version, duration_s: seconds } = result;
  const quickly = result.quick === true ? ['quick: the figures mean nothing'] : [];
  return [
    `\`${commandOf(result)}\``,
    at.slice(0, 10),
    `Plimsoll ${version}`,
    `${seconds.toFixed(0)} s`,
    shownDisturbance(result),
    ...quickly,
  ].join(' · ');
}
