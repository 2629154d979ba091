/** The report: one object with all data, and the files made from it. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { analyse } from '../judge/analyse.js';
import { compareReports } from '../judge/compare.js';
import type { Comparison } from '../judge/comparison.js';
import { judge } from '../judge/criteria/criteria.js';
import type { Figures } from '../judge/figures.js';
import { compareWithReference, REFERENCE } from '../judge/reference.js';
import { type ProofReport, REPORT_SCHEMA, type SampledRows } from '../judge/report-schema.js';
import type { LoadRun } from '../play/run.js';
import { drawChart } from './chart.js';
import { renderHtml } from './report-html.js';
import { renderMarkdown } from './report-markdown.js';
import { type ChartFile, runCharts } from './run-charts.js';

export interface ReportOptions {
  readonly url: string;
  readonly model: string | null;
  readonly seed: number;
  readonly readingIntervalMs: number;
  readonly requestTimeoutMs: number;
  readonly runTimeoutMs: number;
  /** From 0 to 1; null: not judged. */
  readonly expectedAccuracy: number | null;
  /** The report to compare with, if any. */
  readonly earlier: ProofReport | null;
}

/** Computes the whole report. Pure, except that it asks the operating system about this machine. */
export function buildReport(run: LoadRun, options: ReportOptions): ProofReport {
  // Rounded before anything is judged or written, so that no two places can show different figures.
  const figures = rounded(analyse(run));
  const comparison = rounded(comparisonOf(run, figures, options));
  const { verdict, criteria } = judge(figures, {
    ...{ stopped: run.stopped, profile: run.plan.profile, comparison },
    expectedAccuracy: options.expectedAccuracy,
  });
  return rounded({
    schema: REPORT_SCHEMA,
    verdict,
    criteria,
    machine: machineOf(figures),
    options: shownOptions(run, options),
    run: { started_at: run.startedAt, duration_ms: run.durationMs, stopped: run.stopped },
    figures,
    reference: REFERENCE,
    side_by_side: compareWithReference(figures),
    comparison,
    charts: runCharts(run).map(({ file, title, session }) => ({
      file: `charts/${file}`,
      title,
      session,
    })),
    receipts: run.sessions.flatMap((session) =>
      session.receipt === null ? [] : [{ session: session.number, receipt: session.receipt }],
    ),
    readings: readingRows(run),
    requests: requestRows(run),
  });
}

/** Null without an earlier report. */
function comparisonOf(
  run: LoadRun,
  figures: Figures,
  { earlier, model }: ReportOptions,
): Comparison | null {
  if (earlier === null) return null;
  const { profile, users, requests } = run.plan;
  const here = {
    figures,
    responses: run.requests.items.filter((row) => row.ok).map((row) => row.ms),
    options: { profile, users, requests, model, inputs_sha256: run.inputSet.sha256 },
    cores: os.availableParallelism(),
  };
  return compareReports(here, earlier);
}

function machineOf({ memory }: Figures): ProofReport['machine'] {
  return {
    cores: os.availableParallelism(),
    total_mb: os.totalmem() / 2 ** 20,
    node: process.version,
    os: `${os.type()} ${os.arch()}`,
    server_total_mb: memory.total_mb,
    load_line_mb: memory.load_line_mb,
  };
}

/** What the run was asked to do, without secrets. */
function shownOptions({ plan, inputSet }: LoadRun, options: ReportOptions): ProofReport['options'] {
  const { inputs, name, sha256 } = inputSet;
  return {
    url: withoutCredentials(options.url),
    model: options.model,
    profile: plan.profile,
    sessions: plan.sessions,
    duration_ms: plan.durationMs,
    users: plan.users,
    requests: plan.requests,
    rate_per_s: plan.ratePerS,
    seed: options.seed,
    inputs: {
      name,
      sha256,
      texts: inputs.length,
      labelled: inputs.filter((input) => input.label !== null).length,
    },
    reading_interval_ms: options.readingIntervalMs,
    request_timeout_ms: options.requestTimeoutMs,
    run_timeout_ms: options.runTimeoutMs,
    expected_accuracy: options.expectedAccuracy,
  };
}

/**
 * Writes `report.json`, `report.md`, `report.html` and `charts/*.svg` into a folder, which is created if missing.
 * Each file is written under another name and renamed, so that a kill leaves the old or the new one.
 *
 * @returns the path of `report.md`.
 */
export async function writeReport(out: string, report: ProofReport, run: LoadRun): Promise<string> {
  const folder = join(out, 'charts');
  await mkdir(folder, { recursive: true });
  const charts = runCharts(run);
  for (const { file, chart } of charts) await replaceFile(join(folder, file), drawChart(chart));
  await removeStale(folder, charts);
  await replaceFile(join(out, 'report.json'), writeJson(report));
  await replaceFile(join(out, 'report.html'), renderHtml(report));
  const path = join(out, 'report.md');
  await replaceFile(path, renderMarkdown(report));
  return path;
}

async function replaceFile(path: string, content: string): Promise<void> {
  const beside = `${path}.${process.pid}.part`;
  await writeFile(beside, content);
  await rename(beside, path);
}

/** Charts left by an earlier, longer run would look like this one's. */
async function removeStale(folder: string, charts: readonly ChartFile[]): Promise<void> {
  const current = new Set(charts.map((chart) => chart.file));
  for (const name of await readdir(folder)) {
    if (/^session-\d+\.svg$/.test(name) && !current.has(name)) await rm(join(folder, name));
  }
}

/** Indented for readers, with each row of the long tables on one line. */
function writeJson(report: ProofReport): string {
  const { readings, requests, receipts, figures, ...rest } = report;
  const { sessions, ...others } = figures;
  const head = JSON.stringify(rest, null, 2).slice(0, -2);
  const parts = [
    `"figures": {\n    "sessions": ${lines(sessions, 6)},${JSON.stringify(others, null, 2).slice(1)}`,
    `"receipts": ${lines(receipts, 4)}`,
    `"readings": ${writeRows(readings)}`,
    `"requests": ${writeRows(requests)}`,
  ];
  return `${head},\n  ${parts.join(',\n  ')}\n}\n`;
}

function writeRows({ columns, one_of, rows }: SampledRows): string {
  const head = `"columns": ${JSON.stringify(columns)},\n    "one_of": ${one_of}`;
  return `{\n    ${head},\n    "rows": ${lines(rows, 6)}\n  }`;
}

function lines(items: readonly unknown[], indent: number): string {
  const space = ' '.repeat(indent);
  const written = items.map((item) => `${space}${JSON.stringify(item)}`);
  return `[\n${written.join(',\n')}\n${space.slice(2)}]`;
}

function readingRows({ readings }: LoadRun): SampledRows {
  return {
    columns: [
      ...['at_ms', 'session', 'phase', 'server_total_mb', 'server_used_mb', 'server_percent'],
      ...[
        'private_mb',
        'workers_mb',
        'pss_mb',
        'load_line_mb',
        'pressure',
        'processes',
        'users_since_recycle',
      ],
    ],
    one_of: readings.oneOf,
    rows: readings.items.map((one) => [
      ...[one.atMs, one.session, one.phase, one.totalMb, one.usedMb, one.percent],
      ...[one.privateMb, one.workersMb, one.pssMb, one.loadLineMb, one.pressure, one.processes],
      one.usersSinceRecycle,
    ]),
  };
}

function requestRows({ requests }: LoadRun): SampledRows {
  return {
    columns: [
      ...['session', 'user', 'request', 'input', 'start_ms', 'late_ms', 'ms', 'status', 'ok'],
      ...['label', 'expected', 'cached', 'code'],
    ],
    one_of: requests.oneOf,
    rows: requests.items.map((row) => [
      ...[row.session, row.user, row.request, row.input, row.startMs, row.lateMs, row.ms],
      ...[row.status, row.ok, row.label, row.expected, row.cached, row.code],
    ]),
  };
}

/** Three decimals, or six significant digits below 1: finer than any clock or page size here. */
function rounded<T>(value: T): T {
  if (typeof value === 'number') {
    const fine =
      Math.abs(value) < 1 ? Number(value.toPrecision(6)) : Math.round(value * 1000) / 1000;
    return fine as T;
  }
  if (Array.isArray(value)) return value.map((entry: unknown) => rounded(entry)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, rounded(entry as unknown)]),
  ) as T;
}

function withoutCredentials(url: string): string {
  const clean = new URL(url);
  clean.username = '';
  clean.password = '';
  return clean.origin + clean.pathname.replace(/\/$/, '');
}
