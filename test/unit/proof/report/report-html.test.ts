import { describe, expect, it } from 'vitest';
import type { ProofReport } from '../../../../src/proof/judge/report-schema.js';
import { htmlOf } from '../../../../src/proof/report/markdown-html.js';
import { buildReport, type ReportOptions } from '../../../../src/proof/report/report.js';
import { renderHtml } from '../../../../src/proof/report/report-html.js';
import { renderMarkdown } from '../../../../src/proof/report/report-markdown.js';
import { type Shape, syntheticRun } from '../synthetic-run.js';

const OPTIONS: ReportOptions = {
  ...{ url: 'http://127.0.0.1:8000/', model: null, seed: 1, earlier: null, expectedAccuracy: 0.97 },
  ...{ readingIntervalMs: 250, requestTimeoutMs: 30_000, runTimeoutMs: 600_000 },
};

function reportOf(shape: Shape = {}): ProofReport {
  return buildReport(syntheticRun(shape), OPTIONS);
}

describe('report.html', () => {
  it('is written from what report.json holds and nothing else, as is report.md', () => {
    const report = reportOf();
    const read: ProofReport = JSON.parse(JSON.stringify(report));
    expect(renderHtml(read)).toBe(renderHtml(report));
    expect(renderMarkdown(read)).toBe(renderMarkdown(report));
  });

  it('has every heading and every cell of report.md', () => {
    const report = reportOf();
    const html = renderHtml(report);
    const lines = renderMarkdown(report).split('\n');
    const headings = lines.filter((line) => /^#+ /.test(line));
    expect(html.match(/<h[1-3]>/g)).toHaveLength(headings.length);
    const rows = lines.filter((line) => line.startsWith('|') && !line.startsWith('| ---'));
    expect(html.match(/<tr>/g)).toHaveLength(rows.length);
  });

  it('asks the network for nothing and runs nothing', () => {
    const html = renderHtml(reportOf());
    expect(html).not.toMatch(/<(script|link|img|iframe|object)\b|\bsrc=|\bhref=|url\(|@import/);
    expect(html.match(/<svg /g)).toHaveLength(2);
  });

  it('shows the verdict first', () => {
    expect(renderHtml(reportOf())).toMatch(/<h1>.*<\/h1>\n<p class="verdict verdict-passed">/);
    expect(renderHtml(reportOf({ ms: () => 400 }))).toContain('class="verdict verdict-failed"');
  });

  it('lets nothing that a server says become mark-up', () => {
    const evil = '<img src=x onerror="alert(1)">';
    const report = reportOf({
      change: (session) => ({ ...session, models: [evil, `\`${evil}`], problem: evil }),
      changeRow: (row) => ({ ...row, ok: false, code: evil }),
    });
    const html = renderHtml(report);
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src=x');
  });
});

describe('htmlOf', () => {
  it('keeps an escaped bar in its cell and aligns figures', () => {
    const html = htmlOf('| a | b |\n| --- | ---: |\n| x \\| y | 1 |');
    expect(html).toContain('<td>x | y</td><td class="figure">1</td>');
  });

  it('takes fenced text as it stands', () => {
    expect(htmlOf('```text\n**a** <b>\n```')).toBe('<pre>**a** &lt;b&gt;</pre>');
  });
});
