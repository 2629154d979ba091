/** The sections of `report.md` on load and response times. */

import { count, kb, list, mb, ms, percent, plain, plural, seconds, table } from '../format.js';
import type { DifferenceRow } from '../judge/comparison.js';
import type { LabelFigures, LoadFigures, MemoryFigures, RampFigures } from '../judge/figures.js';
import { type ComparisonRow, REFERENCE } from '../judge/reference.js';
import type { ProofReport } from '../judge/report-schema.js';
import type { Description } from '../statistics.js';
import { leftOut, MOST_ROWS, pickSessions } from './pick-sessions.js';

type Lines = readonly string[];

export function loadResults({ figures }: ProofReport): Lines {
  const { load, labels, memory } = figures;
  return [
    '_From every request of every user, as the client saw it. Response times are those of successful requests, from sending to the last byte; quantiles by linear interpolation (Hyndman and Fan, type 7)._',
    '',
    ...playedTable(load),
    '',
    ...responseTimes(load),
    '',
    omissionSentence(load),
    '',
    answeredSentence(load),
    '',
    ...failureTable(load),
    '',
    ...rampSentence(figures.ramp),
    ...disturbances(figures.sessions),
    labelsSentence(labels),
    '',
    memorySentence(memory),
  ];
}

/** What was planned, beside what became of it. */
function playedTable(load: LoadFigures): Lines {
  const users = [load.users_planned, load.users_played, load.users_successful, load.users_failed];
  const { requests_planned, requests_sent, requests_ok, requests_failed } = load;
  const requests = [requests_planned, requests_sent, requests_ok, requests_failed];
  return table(
    ['', 'planned', 'played', 'successful', 'failed'],
    [
      ['sessions', count(load.sessions_planned), count(load.sessions_played), '', ''],
      ['users', ...users.map(count)],
      ['requests', ...requests.map(count)],
    ],
  );
}

function responseTimes({ response, omission }: LoadFigures): Lines {
  return describedTable([
    ['response time', response, ms],
    ...(omission.corrected === null
      ? []
      : [['corrected for coordinated omission', omission.corrected, ms] as const]),
    ...(omission.from_sending === null
      ? []
      : [['the same from when it was sent', omission.from_sending, ms] as const]),
  ]);
}

function answeredSentence(load: LoadFigures): string {
  const answered = load.answered_by.map(
    ({ tier, requests }) =>
      `${count(requests)} by ${tier === 'none' ? 'running the model' : `the ${tier} cache`}`,
  );
  return (
    `${plain(load.requests_per_s)} requests a second while sessions played, ${seconds(load.duration_ms)} for the whole run. ` +
    `Answered: ${list(answered) || 'none'}. ${plural(load.distinct_texts, 'different text')} were sent; ` +
    `${plural(load.repeats, 'request')} repeated a text of this run.`
  );
}

function failureTable({ failures }: LoadFigures): Lines {
  if (failures.length === 0) return ['No request failed.'];
  return table(
    ['failure', 'requests'],
    failures.map((one) => [one.code, count(one.requests)]),
  );
}

function labelsSentence(labels: LabelFigures | null): string {
  if (labels === null) {
    return '**Labels:** no labelled text was answered, so nothing is said about them.';
  }
  return (
    `**Labels:** ${count(labels.correct)} of ${plural(labels.labelled, 'labelled text')} classified right, ${percent(labels.accuracy_percent)} ` +
    `(95 % interval ${percent(labels.low_percent)} to ${percent(labels.high_percent)}, Wilson); each text counts once.`
  );
}

function memorySentence(memory: MemoryFigures): string {
  const { used, private: own } = memory;
  if (used === null) return '**Memory:** not read.';
  const ofAll =
    own === null
      ? '.'
      : `; all Plimsoll processes together ${mb(own.min_mb)} to ${mb(own.max_mb)} private.`;
  return `**Memory:** server used ${mb(used.min_mb)} to ${mb(used.max_mb)}, at most ${percent(memory.used_of_line_percent)} of the load line of ${mb(memory.load_line_mb)}${ofAll}`;
}

function omissionSentence({ omission, response }: LoadFigures): string {
  if (response === null) return 'Nothing was answered, so no time is corrected.';
  return omission.expected_interval_ms === null
    ? 'An open loop: a time counts from when its request was due, so a stall is felt by every request that it held back, and nothing is left to correct.'
    : `A closed loop sends nothing while it waits, so a stall is measured once only. Corrected: as if each user had sent every ${ms(omission.expected_interval_ms)} (the median response), whether or not the last answer was there.`;
}

function rampSentence(ramp: RampFigures | null): Lines {
  if (ramp === null) return [];
  const refused =
    ramp.refused_users === null
      ? 'the most that were tried; none was refused'
      : `with ${count(ramp.refused_users)} the first request failed`;
  const again =
    ramp.recovery_users === null
      ? ''
      : `; afterwards ${count(ramp.recovery_served)} of ${plural(ramp.recovery_users, 'user')} were served`;
  return [
    `**Ramp:** ${plural(ramp.served_users, 'user')} at once were served; ${refused}${again}.`,
    '',
  ];
}

function disturbances(sessions: ProofReport['figures']['sessions']): Lines {
  const rows = sessions.flatMap(({ session, requests_failed, disturbance }) =>
    disturbance === null
      ? []
      : [
          [
            `session ${count(session)}`,
            disturbance.what,
            disturbance.detail,
            disturbance.overcome ? 'yes' : '**no**',
            count(requests_failed),
          ],
        ],
  );
  if (rows.length === 0) return [];
  const header = ['disturbed', 'what was done', 'what was seen', 'overcome', 'requests failed'];
  return ['**What was done to the server:**', '', ...table(header, rows, 'words'), ''];
}

export function sessionPerformance({ figures }: ProofReport): Lines {
  return [
    '_From the requests of each session; time is from opening it to the last reply._',
    '',
    ...leftOut(figures.sessions, MOST_ROWS),
    ...table(
      [
        'session',
        'state',
        'time',
        'users served',
        'requests answered',
        'from cache',
        'a second',
        'mean',
        'p50',
        'p95',
        'p99',
        'slowest',
      ],
      pickSessions(figures.sessions, MOST_ROWS).map((one) => [
        count(one.session),
        one.state,
        seconds(one.play_ms),
        `${count(one.users_successful)} of ${count(one.users)}`,
        `${count(one.requests_ok)} of ${count(one.requests)}`,
        count(one.requests_from_cache),
        plain(one.requests_per_s),
        ...[one.response?.mean, one.response?.p50, one.response?.p95].map((n) => ms(n ?? null)),
        ...[one.response?.p99, one.response?.max].map((n) => ms(n ?? null)),
      ]),
    ),
  ];
}

export function sideBySide(report: ProofReport): Lines {
  const { machine } = report;
  return [
    `_The reference: a Python backend on an AWS t3.large (${plural(REFERENCE.cores, 'core')}, ${mb(REFERENCE.total_mb)}), August 2025, as published. ` +
      `Here: ${plural(machine.cores, 'core')}, ${mb(machine.server_total_mb)}. Another machine, another model, other texts: this sets two runs side by side, it does not measure one program against the other._`,
    '',
    ...referenceTable(report),
    '',
    'A – was not measured there, or could not be here. Below zero freed means that memory use rose.',
  ];
}

/** Also shown in the README. */
export function referenceTable({ side_by_side }: Pick<ProofReport, 'side_by_side'>): Lines {
  return table(
    ['figure', 'reference', 'this run'],
    side_by_side.map((row) => [
      row.figure,
      written(row.unit, row.reference),
      written(row.unit, row.here),
    ]),
  );
}

function written(unit: ComparisonRow['unit'], value: number | null): string {
  return { count, percent, ms, mb }[unit](value);
}

/** Empty without an earlier report. */
export function besideEarlier({ comparison }: ProofReport): Lines {
  if (comparison === null) return [];
  const { earlier, differs_in: differs, rows } = comparison;
  return [
    `_The earlier report: ${earlier.started_at.slice(0, 16).replace('T', ' ')} UTC, profile \`${earlier.profile}\`, ${plural(earlier.cores, 'core')}, ${mb(earlier.total_mb)}, verdict ${earlier.verdict}. ` +
      'Medians, the median of all pairwise differences (Hodges–Lehmann) and its 95 % interval; for the growth the two slopes (MOVER)._',
    '',
    ...(differs.length === 0
      ? []
      : [
          `**The two runs differ in: ${list(differs)}.** Their difference is not the server’s alone.`,
          '',
        ]),
    ...table(
      ['figure', 'earlier', 'this run', 'difference', 'from', 'to', 'allowed'],
      rows.map((row) => [
        row.figure,
        ...[row.earlier, row.here, row.difference, row.low, row.high].map((n) =>
          inUnit(row.unit, n),
        ),
        row.allowed === null ? 'not judged' : inUnit(row.unit, row.allowed),
      ]),
    ),
  ];
}

function inUnit(unit: DifferenceRow['unit'], value: number | null): string {
  return { ms, mb, kb, percent }[unit](value);
}

export function describedTable(
  rows: readonly (readonly [string, Description | null, (value: number | null) => string])[],
): Lines {
  return table(
    ['', 'number', 'mean', 'standard deviation', 'lowest', 'p50', 'p95', 'p99', 'highest'],
    rows.map(([name, of, unit]) => [
      name,
      count(of?.count ?? 0),
      ...[of?.mean, of?.sd, of?.min, of?.p50, of?.p95, of?.p99, of?.max].map((n) =>
        unit(n ?? null),
      ),
    ]),
  );
}
