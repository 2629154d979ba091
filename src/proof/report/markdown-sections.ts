/** The sections of `report.md` with measurements. Each begins with its source. */

import { count, kb, list, mb, ms, percent, plain, plural, probability, table } from '../format.js';
import { THRESHOLDS } from '../judge/criteria/thresholds.js';
import type { TrendFigures, UsageFigures } from '../judge/figures.js';
import type { ProofReport } from '../judge/report-schema.js';
import type { Receipt } from '../replies.js';
import { describedTable } from './markdown-load.js';
import { leftOut, MOST_ROWS, pickSessions } from './pick-sessions.js';
import { receiptLines } from './receipt-lines.js';

type Lines = readonly string[];

/** Sessions shown in detail. */
const MOST_DETAILS = 12;

export function cleanupDetails({ figures, receipts }: ProofReport): Lines {
  return [
    '_From the receipt that the server returned when each session ended._',
    ...leftOut(figures.sessions, MOST_DETAILS),
    ...pickSessions(figures.sessions, MOST_DETAILS).flatMap((session) => {
      const receipt = receipts.find((one) => one.session === session.session)?.receipt ?? null;
      return [
        '',
        `### Session ${session.session}`,
        '',
        '```text',
        ...receiptLines(session.session, receipt),
        '```',
        ...(session.problem === null ? [] : ['', `Problem: ${session.problem}.`]),
        ...(receipt === null ? [] : receiptTables(receipt)),
        '',
        `Models after the end: ${modelsAfter(session.models, session.models_still_loaded)}.`,
      ];
    }),
  ];
}

function modelsAfter(used: readonly string[], loaded: readonly string[] | null): string {
  if (used.length === 0) return 'none had answered';
  if (loaded === null) return 'the list could not be read';
  return loaded.length === 0
    ? `unloaded: ${list(used.map((id) => `\`${id}\``))}`
    : `**still loaded: ${list(loaded)}**`;
}

function receiptTables(receipt: Receipt): Lines {
  const { before, after } = receipt;
  const sides = [
    [
      'server used',
      mb(before?.server_used_mb ?? null),
      mb(after?.server_used_mb ?? null),
      mb(receipt.freed_mb),
    ],
    [
      'share of the server',
      percent(before?.server_percent ?? null),
      percent(after?.server_percent ?? null),
      '',
    ],
    [
      'private, all processes',
      mb(before?.private_mb ?? null),
      mb(after?.private_mb ?? null),
      mb(receipt.freed_private_mb),
    ],
    ['proportional (PSS)', mb(before?.pss_mb ?? null), mb(after?.pss_mb ?? null), ''],
  ];
  const actions = receipt.actions.map((one) => [
    one.action,
    one.model ?? '',
    one.worker ?? '',
    ms(one.duration_ms),
    mb(one.freed_mb),
  ]);
  return [
    '',
    ...table(['memory', 'before', 'after', 'freed'], sides),
    '',
    ...(actions.length === 0
      ? ['The receipt names no actions.']
      : table(['action', 'model', 'worker', 'took', 'freed'], actions)),
  ];
}

export function usageTrends({ figures, charts }: ProofReport): Lines {
  const { memory, trend, trend_between_recycles: between } = figures;
  const columns: readonly (readonly [string, UsageFigures | null])[] = [
    ['server used', memory.used],
    ['Plimsoll, private', memory.private],
  ];
  return [
    `_From ${plural(memory.readings, 'reading')} of \`GET /v1/memory\`${memory.readings_missed > 0 ? `; ${count(memory.readings_missed)} more gave none` : ''}._`,
    '',
    ...table(
      [
        'memory',
        'first',
        'last',
        'lowest',
        'highest',
        'range',
        'mean',
        'standard deviation',
        'variation',
        'mean share',
        'lowest share',
        'highest share',
      ],
      columns.map(([name, usage]) =>
        usage === null ? [name, ...Array<string>(11).fill('–')] : [name, ...usageCells(usage)],
      ),
    ),
    '',
    `Shares are of the server’s ${mb(memory.total_mb)}; variation is the standard deviation divided by the mean. ` +
      `Pressure: ${list(memory.pressure.map((one) => `${one.level} in ${plural(one.readings, 'reading')}`)) || 'not read'}.`,
    '',
    ...trendSentence(trend, 'from session to session'),
    ...(between === null
      ? []
      : [
          '',
          ...trendSentence(
            between,
            `in the longest stretch without a recycle, sessions ${between.first_session} to ${between.last_session}`,
          ),
        ]),
    ...charts.flatMap((chart) => ['', `![${chart.title}](${chart.file})`]),
  ];
}

function usageCells(usage: UsageFigures): Lines {
  return [
    ...[usage.first_mb, usage.last_mb, usage.min_mb, usage.max_mb, usage.range_mb].map(mb),
    ...[usage.mean_mb, usage.sd_mb].map(mb),
    ...[usage.variation_percent, usage.share_percent].map(percent),
    ...[usage.min_share_percent, usage.max_share_percent].map(percent),
  ];
}

function trendSentence(trend: TrendFigures, what: string): Lines {
  const basis = `private memory after each cleanup, ${plural(trend.judged_sessions, 'session')}, ${count(trend.warm_up_sessions)} before them left out as warm-up`;
  if (trend.judged_sessions < THRESHOLDS.leakSessions) {
    return [
      `Trend ${what} (${basis}): too few to say anything, it takes ${count(THRESHOLDS.leakSessions)}.`,
    ];
  }
  if (trend.slope_kb === null || trend.low_kb === null || trend.high_kb === null) {
    return [`Trend ${what} (${basis}): too few readings for a slope.`];
  }
  return [
    `Trend ${what} (${basis}): Theil–Sen slope ${kb(trend.slope_kb)} a session, ` +
      `95 % interval ${kb(trend.low_kb)} to ${kb(trend.high_kb)}; Mann–Kendall p ${probability(trend.mann_kendall_p)} ` +
      `(variance × ${plain(trend.serial_factor)} because readings that follow each other are alike); ` +
      `over the later half alone ${kb(trend.late_slope_kb)}, interval ${kb(trend.late_low_kb)} to ${kb(trend.late_high_kb)}. ` +
      `A leak is claimed above ${kb(trend.claimed_above_kb)} a session; the smallest that would have been found is ${kb(trend.findable_kb)}. ` +
      'Whether that says anything is judged in the verdict.',
  ];
}

export function cleanupEffect({ figures }: ProofReport): Lines {
  const { cleanup, sessions } = figures;
  const nothing =
    cleanup.freed_nothing.length === 0
      ? []
      : [
          `By its receipt the cleanup freed nothing of the private memory in session ${list(cleanup.freed_nothing)}.`,
          '',
        ];
  return [
    '_Executed, timing and freed: from the receipts. Taken and returned: from readings of private memory, taken = highest in the session − before it, returned = highest − after its cleanup. Speed: from the response times._',
    '',
    `**Executed:** ${count(cleanup.executed)} of ${count(cleanup.due)} due, ${count(cleanup.complete)} with a before and an after.`,
    '',
    ...describedTable([
      ['cleanup, by the receipt', cleanup.duration, ms],
      ['end of session, as the client waited', cleanup.end_request, ms],
      ['freed, server used', cleanup.freed, mb],
      ['freed, private', cleanup.freed_private, mb],
    ]),
    '',
    `**Stability:** the cleanups’ durations vary by ${percent(cleanup.duration_variation_percent)} of their mean.`,
    '',
    ...nothing,
    ...leftOut(sessions, MOST_ROWS),
    ...table(
      [
        'session',
        'private before',
        'highest',
        'before cleanup',
        'after cleanup',
        'taken',
        'returned',
        'share returned',
        'of the workers',
      ],
      pickSessions(sessions, MOST_ROWS).map((one) => [
        count(one.session),
        ...[one.private_before_mb, one.private_highest_mb, one.private_before_cleanup_mb].map(mb),
        ...[one.private_after_mb, one.taken_mb, one.returned_mb].map(mb),
        one.returned_percent !== null
          ? percent(one.returned_percent)
          : one.recycled_meanwhile
            ? 'workers were being replaced'
            : 'took too little to say',
        percent(one.workers_returned_percent ?? null),
      ]),
    ),
    '',
    ...speedSentences(figures.speed),
  ];
}

function speedSentences(speed: ProofReport['figures']['speed']): Lines {
  const { after_cleanup: near, others, shift_ms: shift, p } = speed;
  if (near === null || others === null || shift === null || p === null) {
    return ['**Effect on speed:** cannot tell, there are too few requests right after a cleanup.'];
  }
  const direction = shift > 0 ? 'slower' : 'faster';
  const finding =
    p < 0.05
      ? `They are ${direction}: by ${ms(Math.abs(shift))} in the median of all pairs`
      : `No difference is shown: ${ms(shift)} in the median of all pairs`;
  return [
    `**Effect on speed:** each user’s first request after a cleanup, which also pays for loading what the cleanup unloaded ` +
      `(${count(near.count)}, median ${ms(near.p50)}, p95 ${ms(near.p95)}), against those in the middle of the sessions, which all users send at once, too ` +
      `(${count(others.count)}, median ${ms(others.p50)}, p95 ${ms(others.p95)}). ${finding} (Hodges–Lehmann, 95 % interval ${ms(speed.low_ms)} to ${ms(speed.high_ms)}), Mann–Whitney p ${probability(p)}.`,
  ];
}

export function featuresActive({ figures }: ProofReport): Lines {
  return [
    '_From the growth of the server’s counters (`GET /metrics`) between the start and the end of this run._',
    '',
    ...table(
      ['feature', 'state', 'seen', 'counted in this run'],
      figures.features.map((one) => [
        one.feature,
        one.state,
        one.seen,
        one.counters
          .map(
            ({ counter, labels, count: n }) =>
              `\`${counter}${labels && `{${labels}}`}\` +${count(n)}`,
          )
          .join(', '),
      ]),
      'words',
    ),
  ];
}
