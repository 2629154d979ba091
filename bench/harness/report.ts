/** Results as a table for people, as one line of JSON, and as files. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Check, Fact } from './benchmark.js';
import type { Machine } from './machine.js';
import { projectFolder } from './program.js';

/** What `--json` prints; `details` only goes into the file. */
export interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly facts: readonly Fact[];
  readonly not_run?: string;
  /** It broke down: an error, not a figure that does not hold. */
  readonly error?: string;
  /** Small counts: the figures mean nothing. */
  readonly quick?: true;
  /** Measured with that model alone, where the benchmark has several. */
  readonly model?: string;
  readonly machine: Machine;
  readonly started_at: string;
  readonly duration_s: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly pictures?: Readonly<Record<string, string>>;
}

/** 0 every check holds, 1 one does not, 3 it could not run here. */
export function exitCodeOf(result: Result): number {
  if (result.not_run !== undefined) return 3;
  return result.ok ? 0 : 1;
}

export function shownResult(result: Result): string {
  const { name, checks, facts, not_run: notRun, error, quick, duration_s: seconds } = result;
  const state = notRun === undefined ? (result.ok ? 'holds' : 'does not hold') : 'not run';
  const title = `${name}: ${state} (${seconds.toFixed(0)} s${quick === true ? ', quick: its figures mean nothing' : ''})`;
  const rows = [
    ...checks.map((of) => [of.ok ? 'ok' : 'NO', of.check, shown(of.value), of.bound]),
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
  const reasons = [notRun, error].filter((reason) => reason !== undefined);
  return [title, ...reasons, ...lines]
    .map((line, at) => (at === 0 ? line : `  ${line}`))
    .join('\n');
}

export function jsonLine(result: Result): string {
  const { name, ok, checks, details, pictures, ...rest } = result;
  return JSON.stringify({ name, ok, checks, ...rest });
}

const FOLDER = path.join(projectFolder, 'bench', 'results');

/** Keeps the result, and writes the table of all that are there. */
export async function keepResult(
  { pictures = {}, ...result }: Result,
  order: readonly string[],
): Promise<void> {
  for (const [file, text] of Object.entries(pictures)) {
    await writeFile(path.join(projectFolder, file), text);
  }
  await mkdir(FOLDER, { recursive: true });
  const file = path.join(FOLDER, `${[result.name, result.model].filter(Boolean).join('-')}.json`);
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.json'));
  const results = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(path.join(FOLDER, name), 'utf8');
      return JSON.parse(text) as Result;
    }),
  );
  const place = ({ name }: Result) => (order.includes(name) ? order.indexOf(name) : order.length);
  results.sort((a, b) => place(a) - place(b));
  await writeFile(path.join(FOLDER, 'README.md'), resultsPage(results));
}

function resultsPage(results: readonly Result[]): string {
  const rows = results.flatMap(
    ({ name, checks, not_run: notRun, error, quick, started_at: at }) => {
      const day = `${at.slice(0, 10)}${quick === true ? ' (quick)' : ''}`;
      if (notRun !== undefined) return [`| \`${name}\` | not run: ${notRun} | | | | ${day} |`];
      if (error !== undefined) return [`| \`${name}\` | broke down | | | no | ${day} |`];
      return checks.map(
        (of) =>
          `| \`${name}\` | ${of.check} | ${shown(of.value)} | ${of.bound} | ${of.ok ? 'yes' : '**no**'} | ${day} |`,
      );
    },
  );
  const machines = new Set(
    results.map(
      ({ machine: of }) =>
        `${of.cores} cores of ${of.cpu_model}, ${of.memory_mb} MB, Linux ${of.kernel}, ${of.libc}, Node ${of.node}`,
    ),
  );
  return [
    '# Results of the benchmarks',
    '',
    'Written by `npm run bench -- all`; the samples behind each figure are in the JSON files beside this page.',
    ...[...machines].map((machine) => `Machine: ${machine}.`),
    '',
    '| benchmark | check | value | bound | holds | day |',
    '| --- | --- | ---: | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

/** @param value null is what a value that is not a number becomes in a file. */
function shown(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return 'none';
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(1) : value.toPrecision(4);
}
