/** The charts of one run, and the readings in each. */

import { plural } from '../format.js';
import type { LoadRun, Reading, SessionRun } from '../play/run.js';
import type { Chart } from './chart.js';

/** With more sessions there are no charts of single sessions: nobody looks at a thousand pictures. */
const MAX_SESSION_CHARTS = 100;

export interface ChartFile {
  readonly file: string;
  readonly title: string;
  /** Null for the chart of the whole run. */
  readonly session: number | null;
  readonly chart: Chart;
}

/** The whole run first, then each session, in order. */
export function runCharts(run: LoadRun): readonly ChartFile[] {
  const charted = run.sessions.length > MAX_SESSION_CHARTS ? [] : run.sessions;
  const width = String(charted.length).length;
  return [
    wholeRun(run),
    ...charted.map((session) => ({
      file: `session-${String(session.number).padStart(width, '0')}.svg`,
      ...sessionChart(run, session),
    })),
  ];
}

function wholeRun(run: LoadRun): ChartFile {
  const title = `Memory over the run: ${plural(run.sessions.length, 'session')}`;
  const ended = run.sessions.filter((session) => session.id !== null);
  return {
    file: 'run.svg',
    title,
    session: null,
    chart: {
      title,
      description:
        'Private memory of all server processes, and memory used on the machine against the load line.',
      panels: panels(run.readings.items, 0),
      marks: ended.map((one) => ({ x: one.playedMs / 1000, label: String(one.number) })),
      markName: 'end of session, by number',
    },
  };
}

function sessionChart(run: LoadRun, session: SessionRun): Omit<ChartFile, 'file'> {
  const title = `Memory in session ${session.number}`;
  const readings = run.readings.items.filter((reading) => reading.session === session.number);
  const start = session.startedMs;
  return {
    title,
    session: session.number,
    chart: {
      title,
      description: `Readings from before session ${session.number} until after its cleanup.`,
      panels: panels(readings, start),
      marks:
        session.id === null ? [] : [{ x: (session.playedMs - start) / 1000, label: 'cleanup' }],
      markName: 'users are done, cleanup begins',
    },
  };
}

function panels(readings: readonly Reading[], startMs: number): Chart['panels'] {
  const at = (reading: Reading) => (reading.atMs - startMs) / 1000;
  const line = readings.at(-1)?.loadLineMb ?? null;
  return [
    {
      title: 'Private memory of all Plimsoll processes, MB',
      series: {
        name: 'Plimsoll, private',
        style: 'private',
        points: readings.flatMap((reading) =>
          reading.privateMb === null ? [] : [{ x: at(reading), y: reading.privateMb }],
        ),
      },
    },
    {
      title: 'Memory used on the server, MB',
      series: {
        name: 'server used',
        style: 'used',
        points: readings.map((reading) => ({ x: at(reading), y: reading.usedMb })),
      },
      limit: line === null ? undefined : { name: 'load line', y: line },
    },
  ];
}
