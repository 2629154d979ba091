/** `report.md`, made from the report object alone: it has no figure that `report.json` lacks. */

import { count, list, mb, ms, percent, plural, seconds, table } from '../format.js';
import type { Criterion } from '../judge/criteria/criterion.js';
import { type ProofReport, planOf } from '../judge/report-schema.js';
import { describePlan } from '../play/plan.js';
import { besideEarlier, loadResults, sessionPerformance, sideBySide } from './markdown-load.js';
import { cleanupDetails, cleanupEffect, featuresActive, usageTrends } from './markdown-sections.js';

/** The whole document. */
export function renderMarkdown(report: ProofReport): string {
  const lines = [
    '# Plimsoll proof',
    '',
    verdictLine(report),
    '',
    ...played(report),
    ...section('Executive summary', summary(report)),
    ...section('Each session’s cleanup in detail', cleanupDetails(report)),
    ...section('Memory usage trends', usageTrends(report)),
    ...section('Cleanup effectiveness', cleanupEffect(report)),
    ...section('Features active in this run', featuresActive(report)),
    ...section('Load test results', loadResults(report)),
    ...section('Each session’s performance', sessionPerformance(report)),
    ...section('Side by side with the reference run', sideBySide(report)),
    ...(report.comparison === null
      ? []
      : section('Side by side with an earlier report', besideEarlier(report))),
    ...section('Conclusion and verdict', conclusion(report)),
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, content: readonly string[]): readonly string[] {
  return ['', `## ${title}`, '', ...content];
}

function verdictLine({ verdict, criteria }: ProofReport): string {
  const held = criteria.filter((one) => one.held === true).length;
  return `**Verdict: ${verdict}.** ${count(held)} of ${plural(criteria.length, 'criterion').replace('criterions', 'criteria')} held.`;
}

function played(report: ProofReport): readonly string[] {
  const { options, machine, run, figures } = report;
  const texts = `${plural(options.inputs.texts, 'text')} of \`${options.inputs.name}\` (${count(options.inputs.labelled)} with a label)`;
  return [
    `Played on ${run.started_at.slice(0, 16).replace('T', ' ')} UTC against ${options.url}${options.model === null ? '' : `, model \`${options.model}\``}: ` +
      `profile \`${options.profile}\`, ${describePlan(planOf(options))}; one text a request, from ${texts}.`,
    '',
    `The proof ran on ${plural(machine.cores, 'core')} with ${mb(machine.total_mb)} of memory (${machine.os}, Node.js ${machine.node}); ` +
      `the server says that it has ${mb(machine.server_total_mb)} and a load line of ${mb(machine.load_line_mb)}. ` +
      `${figures.others_cpu_percent === null ? '' : `Other programs took ${percent(figures.others_cpu_percent)} of its CPU time meanwhile. `}` +
      'Every figure below is computed from replies, readings and receipts of this run, and stands in `report.json`. ' +
      'MB are 2^20 bytes.',
    ...(report.requests.one_of * report.readings.one_of === 1
      ? []
      : [
          '',
          `Counts, means and bounds are of all requests and readings. Of the single ones \`report.json\` holds one of ${count(report.requests.one_of)} answered requests and one of ${count(report.readings.one_of)} readings, picked by a hash; quantiles of the whole run and charts are drawn from these.`,
        ]),
    ...(run.stopped === null
      ? []
      : ['', `**This run was not finished: ${run.stopped}.** What follows is what was played.`]),
  ];
}

function summary(report: ProofReport): readonly string[] {
  const { load, cleanup, memory } = report.figures;
  return [
    ...table(
      ['', 'measured'],
      [
        [
          'users served',
          `${count(load.users_successful)} of ${count(load.users_planned)} (${percent(load.users_successful_percent)})`,
        ],
        ['requests answered', `${count(load.requests_ok)} of ${count(load.requests_sent)}`],
        [
          'response time',
          load.response === null
            ? 'no request succeeded'
            : `mean ${ms(load.response.mean)}, p99 ${ms(load.response.p99)}`,
        ],
        ['cleanups with before and after', `${count(cleanup.complete)} of ${count(cleanup.due)}`],
        [
          'cleanup time',
          cleanup.duration === null
            ? 'no cleanup was timed'
            : `mean ${ms(cleanup.duration.mean)}, slowest ${ms(cleanup.duration.max)}`,
        ],
        [
          'private memory that came back',
          cleanup.returned_median_percent === null
            ? 'cannot tell: the sessions took too little'
            : `median ${percent(cleanup.returned_median_percent)}, worst ${percent(cleanup.returned_worst_percent)} of what a session took`,
        ],
        [
          'server memory used, highest',
          memory.used === null
            ? 'not read'
            : `${mb(memory.used.max_mb)}, ${percent(memory.used_of_line_percent)} of the load line`,
        ],
      ],
    ),
    '',
    ...notHeld(report.criteria),
  ];
}

/** Criteria that failed come first. */
function notHeld(criteria: readonly Criterion[]): readonly string[] {
  const missed = criteria.filter((one) => one.held !== true);
  if (missed.length === 0)
    return ['Every criterion held; each is listed with its test at the end.'];
  return [
    '**What did not hold or could not be told:**',
    '',
    ...missed.map((one) => `- ${one.claim}: **${heldWord(one)}**. ${sentence(one.value)}`),
  ];
}

function conclusion(report: ProofReport): readonly string[] {
  const { criteria, verdict, run } = report;
  const named = (held: Criterion['held']) =>
    criteria.filter((one) => one.held === held).map((one) => one.id);
  const yes = named(true);
  const no = named(false);
  const open = named('cannot tell');
  const part = (ids: readonly string[], words: string) =>
    ids.length === 0 ? [] : [`${words}: ${list(ids)}.`];
  return [
    ...table(
      ['claim', 'threshold', 'found', 'held'],
      criteria.map((one) => [one.claim, one.threshold, one.value, heldWord(one)]),
      'words',
    ),
    '',
    'How each was tested:',
    '',
    ...criteria.map((one) => `- **${one.claim}** (\`${one.id}\`). ${one.how_tested}`),
    '',
    ...notHeld(criteria),
    '',
    [
      `**The proof ${verdict}** after ${seconds(run.duration_ms)}.`,
      ...part(yes, 'Held'),
      ...part(no, 'Did not hold'),
      ...part(open, 'Could not be told'),
    ].join(' '),
  ];
}

function heldWord({ held }: Criterion): string {
  if (held === 'cannot tell') return held;
  return held ? 'yes' : 'no';
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return first.endsWith('.') ? first : `${first}.`;
}
