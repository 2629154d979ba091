/** Results: what they say, as a table for people and as one line of JSON. */
import { plain } from '../../src/proof/format.js';
import type { Fact } from './benchmark.js';
import { type Check, stateOf } from './checks.js';
import type { MachineLoad } from './machine/disturbance.js';
import type { Machine } from './machine/machine.js';

/** One run of a benchmark. It is written into bench/results as it is, and `--json` prints most of it. */
export interface Result {
  readonly name: string;
  /** The chapter of docs/figures.md that it belongs to. */
  readonly area: string;
  /** What was measured, as the benchmark says it. */
  readonly about: string;
  readonly headline?: string;
  /** Every check holds. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly facts: readonly Fact[];
  /** Why it could not run, or not be measured, on this machine. */
  readonly not_run?: string;
  /** It broke down: an error, not a figure that does not hold. */
  readonly error?: string;
  /** Small counts: the figures mean nothing. */
  readonly quick?: true;
  /** Measured with that model alone, where the benchmark has several. */
  readonly model?: string;
  /** Of Plimsoll. */
  readonly version: string;
  readonly machine: Machine;
  /** What else the machine did; missing in results that are older than this reading. */
  readonly machine_load?: MachineLoad;
  /** Why the figures are marked: other work on the machine. Empty on a quiet one. */
  readonly disturbed_by?: readonly string[];
  readonly started_at: string;
  readonly duration_s: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly pictures?: Readonly<Record<string, string>>;
}

export type ResultState = 'holds' | 'does not hold' | 'not measured' | 'broke down';

/**
 * The worst that a result has:
 *
 * 1. it could not be measured here at all;
 * 2. it broke down;
 * 3. a figure misses its bar;
 * 4. a figure could not be measured;
 * 5. otherwise it holds.
 */
export function stateOfResult(result: Pick<Result, 'checks' | 'not_run' | 'error'>): ResultState {
  if (result.not_run !== undefined) return 'not measured';
  if (result.error !== undefined || result.checks.length === 0) return 'broke down';
  const states = result.checks.map(stateOf);
  if (states.includes('does not hold')) return 'does not hold';
  return states.includes('not measured') ? 'not measured' : 'holds';
}

/** 0 every check holds, 1 one does not, 3 something could not be measured here. */
export function exitCodeOf(states: readonly ResultState[]): number {
  if (states.includes('does not hold') || states.includes('broke down')) return 1;
  return states.every((state) => state === 'holds') ? 0 : 3;
}

/** The result as people read it on a terminal. */
export function printed(result: Result): string {
  const { name, headline, checks, facts, not_run: notRun, error, quick, duration_s: s } = result;
  const quickly = quick === true ? ', quick: its figures mean nothing' : '';
  const title = `${name}: ${stateOfResult(result)} (${s.toFixed(0)} s${quickly})`;
  const marks = { holds: 'ok', 'does not hold': 'NO', 'not measured': '??' };
  const rows = [
    ...checks.map((check) => [
      marks[stateOf(check)],
      check.check,
      shownFigure(check.value, check.unit),
      check.not_measured === undefined ? check.bound : `${check.bound}: ${check.not_measured}`,
    ]),
    ...facts.map(({ fact, value }) => ['', fact, value, '']),
  ];
  const width = (column: number) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0));
  const widths = [2, width(1), 0];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 2 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  const disturbed = (result.disturbed_by ?? []).map((reason) => `DISTURBED: ${reason}`);
  const above = [headline, notRun, error, ...disturbed].filter((line) => line !== undefined);
  return [title, ...[...above, ...lines].map((line) => `  ${line}`)].join('\n');
}

/** Without samples and pictures. */
export function jsonLine(result: Result): string {
  const { details: _, pictures: __, ...rest } = result;
  return JSON.stringify(rest);
}

/** All results as one, for `all --json`. */
export function jsonLineOfAll(results: readonly Result[]): string {
  const checks = results.flatMap(({ name, checks: of }) =>
    of.map((check) => ({ ...check, check: `${name}: ${check.check}` })),
  );
  const named = (state: ResultState) =>
    results.filter((result) => stateOfResult(result) === state).map(({ name }) => name);
  return JSON.stringify({
    name: 'all',
    ok: results.every(({ ok }) => ok),
    checks,
    not_measured: named('not measured'),
    broke_down: named('broke down'),
    disturbed: results.filter((of) => (of.disturbed_by ?? []).length > 0).map(({ name }) => name),
    ...(results[0] === undefined ? {} : { machine: results[0].machine }),
  });
}

/** Smaller figures would lose their digits in the usual way of writing them. */
const LEAST_PLAIN = 0.1;

/** A figure with its unit; `not measured` for null. */
export function shownFigure(value: number | null, unit: string): string {
  if (value === null) return 'not measured';
  const isTiny = value !== 0 && Math.abs(value) < LEAST_PLAIN;
  const figure = isTiny ? value.toPrecision(2) : plain(value);
  return unit === '' ? figure : `${figure} ${unit}`;
}
