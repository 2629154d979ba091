/** The charts of `report.html`, drawn from the rows of the report alone. */

import { plural } from '../format.js';
import type { Cell, ProofReport, Rows } from '../judge/report-schema.js';
import type { Point } from '../judge/trend.js';
import { quantile } from '../statistics.js';
import { type Chart, drawChart, type Mark } from './chart.js';

/** Latency is shown for at most this many intervals of the run. */
const STRETCHES = 120;

type Row = ReadonlyMap<string, Cell>;

/** Memory over the run, with the ends of sessions. */
export function memoryChart(report: ProofReport): string {
  const readings = named(report.readings);
  const points = (column: string) =>
    readings.flatMap((row) => {
      const [atMs, mb] = [row.get('at_ms'), row.get(column)];
      return typeof atMs === 'number' && typeof mb === 'number' ? [{ x: atMs / 1000, y: mb }] : [];
    });
  const line = report.machine.load_line_mb;
  return drawChart({
    title: `Memory over the run: ${plural(report.figures.sessions.length, 'session')}`,
    description: 'Private memory of all server processes, and memory used against the load line.',
    panels: [
      panel('Private memory of all Plimsoll processes, MB', 'private', points('private_mb')),
      {
        ...panel('Memory used on the server, MB', 'used', points('server_used_mb')),
        limit: line === null ? undefined : { name: 'load line', y: line },
      },
    ],
    ...sessionEnds(readings),
  });
}

/** Median and 99th percentile of the successful requests that began in each interval of the run. */
export function latencyChart(report: ProofReport): string {
  const stretchMs = Math.max(1, report.run.duration_ms / STRETCHES);
  const stretches = new Map<number, number[]>();
  for (const row of named(report.requests)) {
    const [startMs, ms] = [row.get('start_ms'), row.get('ms')];
    if (row.get('ok') !== true || typeof startMs !== 'number' || typeof ms !== 'number') continue;
    const stretch = Math.floor(startMs / stretchMs);
    const earlier = stretches.get(stretch);
    if (earlier === undefined) stretches.set(stretch, [ms]);
    else earlier.push(ms);
  }
  const points = (share: number) =>
    [...stretches]
      .sort(([a], [b]) => a - b)
      .map(([stretch, times]) => ({
        x: ((stretch + 0.5) * stretchMs) / 1000,
        y: quantile(times, share),
      }));
  return drawChart({
    title: 'Response times over the run',
    description: `Quantiles of the requests that began in each of ${STRETCHES} stretches of the run.`,
    panels: [
      panel('Median response time, ms', 'private', points(0.5), 'p50'),
      panel('99th percentile of the response time, ms', 'used', points(0.99), 'p99'),
    ],
    ...sessionEnds(named(report.readings)),
  });
}

function panel(
  title: string,
  style: 'private' | 'used',
  points: readonly Point[],
  name: string = style === 'private' ? 'Plimsoll, private' : 'server used',
): Chart['panels'][number] {
  return { title, series: { name, style, points } };
}

/** The reading before a cleanup is taken when the session's last user has finished. */
function sessionEnds(readings: readonly Row[]): Pick<Chart, 'marks' | 'markName'> {
  const marks = readings.flatMap((row): readonly Mark[] => {
    const atMs = row.get('at_ms');
    if (row.get('phase') !== 'before cleanup' || typeof atMs !== 'number') return [];
    return [{ x: atMs / 1000, label: String(row.get('session')) }];
  });
  return { marks, markName: 'end of session, by number' };
}

function named({ columns, rows }: Rows): readonly Row[] {
  return rows.map((row) => new Map(columns.map((column, index) => [column, row[index] ?? null])));
}
