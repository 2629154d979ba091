/**
 * `report.html`: one file without network access or script, made from the report object alone. Its text is that of
 * `report.md`, so that the two cannot differ; charts are inline.
 */

import type { ProofReport } from '../judge/report-schema.js';
import { escaped, htmlOf } from './markdown-html.js';
import { latencyChart, memoryChart } from './report-charts.js';
import { renderMarkdown } from './report-markdown.js';

/** Charts of single sessions are only in their files: a soak has hundreds. */
const RUN_CHART = 'charts/run.svg';

/** Class names must differ from those of the charts, whose styles apply to the whole document. */
const STYLE = `
:root{color-scheme:light dark;--ink:#0f172a;--soft:#475569;--ground:#fff;--rule:#e2e8f0;--tint:#f6f8fb;--good:#15803d;--bad:#b91c1c}
@media (prefers-color-scheme:dark){:root{--ink:#e8eef6;--soft:#a9b6c8;--ground:#0b1220;--rule:#27344a;--tint:#121c2e;--good:#4ade80;--bad:#f87171}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;background:var(--ground);color:var(--ink);font:16px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
h1{font-size:1.9rem;margin:0 0 1rem}
h2{font-size:1.3rem;margin:2.75rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule)}
h3{font-size:1.05rem;margin:1.75rem 0 .5rem}
em{color:var(--soft);font-style:normal;font-size:.92em}
.verdict{padding:.8rem 1.1rem;border:1px solid;border-left-width:.5rem;border-radius:.5rem;font-size:1.35rem;font-weight:650;margin:0 0 1rem}
.verdict-passed{color:var(--good)}.verdict-failed{color:var(--bad)}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .7rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;background:var(--tint)}
.figure{text-align:right;white-space:nowrap}
pre{background:var(--tint);border:1px solid var(--rule);border-radius:.5rem;padding:.8rem 1rem;overflow-x:auto;font-size:.85rem}
code{background:var(--tint);padding:.05em .3em;border-radius:.25em;font-size:.9em}
figure{margin:1rem 0}
figure svg{max-width:100%;height:auto}
@media print{:root{color-scheme:light}body{max-width:none;padding:0;font-size:11px}.wide{overflow:visible}table{font-size:8px}th,td{padding:.2rem .3rem}.figure{white-space:normal}figure,tr,pre{break-inside:avoid}h2,h3{break-after:avoid}}
`;

/** The whole document. */
export function renderHtml(report: ProofReport): string {
  const [head = '', ...parts] = renderMarkdown(report).split('\n## ');
  const [summary = '', ...details] = parts.map((part) => htmlOf(`## ${withoutPictures(part)}`));
  const { verdict, run } = report;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escaped(`Plimsoll proof: ${verdict}, ${run.started_at.slice(0, 10)}`)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<main>${withVerdict(htmlOf(head), verdict)}`,
    summary,
    `<figure>${memoryChart(report)}</figure>`,
    `<figure>${latencyChart(report)}</figure>`,
    ...details,
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** The memory chart of the run is at the top already. */
function withoutPictures(markdown: string): string {
  return markdown.replace(/^!\[.*\]\((.*)\)$/gm, (_, file: string) =>
    file === RUN_CHART ? 'The memory over the run is drawn at the top.' : '',
  );
}

function withVerdict(html: string, verdict: ProofReport['verdict']): string {
  return html.replace(
    '<p><strong>Verdict',
    `<p class="verdict verdict-${verdict}"><strong>Verdict`,
  );
}
