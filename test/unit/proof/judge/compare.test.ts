import { describe, expect, it } from 'vitest';
import { buildReport, type ReportOptions } from '../../../../src/proof/report/report.js';
import { renderMarkdown } from '../../../../src/proof/report/report-markdown.js';
import { type Shape, scatter, syntheticRun } from '../synthetic-run.js';

const OPTIONS: ReportOptions = {
  ...{ url: 'http://127.0.0.1:8000', model: null, seed: 1, expectedAccuracy: null, earlier: null },
  ...{ readingIntervalMs: 250, requestTimeoutMs: 30_000, runTimeoutMs: 600_000 },
};

/** A report beside one whose memory at rest is about 120 MB, scattered by half a MB. */
function beside(shape: Shape) {
  const restingMb = (n: number) => 120 + 0.5 * scatter(n);
  const earlier = buildReport(syntheticRun({ restingMb }), OPTIONS);
  return buildReport(syntheticRun({ restingMb, ...shape }), { ...OPTIONS, earlier });
}

function regression({ criteria }: ReturnType<typeof beside>) {
  const found = criteria.find(({ id }) => id === 'regression');
  if (found === undefined) throw new Error('no criterion');
  return found;
}

describe('a run beside an earlier report', () => {
  it('has not regressed when it is alike', () => {
    const report = beside({ restingMb: (n) => 120.5 + 0.5 * scatter(n + 7) });
    expect(regression(report)).toMatchObject({ held: true });
    expect(report.verdict).toBe('passed');
    expect(report.comparison?.differs_in).toEqual([]);
  });

  it('fails when it rests 20 MB higher, and says so with the interval', () => {
    const report = beside({ restingMb: (n) => 140 + 0.5 * scatter(n + 7) });
    expect(regression(report)).toMatchObject({ held: false });
    expect(regression(report).value).toMatch(
      /^private memory after a cleanup (19\.\d|20(\.\d)?) MB more, interval .* MB to .* MB, 12(\.\d)? MB allowed/,
    );
    expect(report.verdict).toBe('failed');
    const row = report.comparison?.rows[0];
    expect(row?.low).toBeGreaterThan(18);
    expect(row?.high).toBeLessThan(22);
  });

  it('fails when its sessions take much more', () => {
    expect(regression(beside({ takesMb: 60 }))).toMatchObject({ held: false });
  });

  it('does not judge from three sessions', () => {
    const report = beside({ sessions: 3 });
    expect(regression(report)).toMatchObject({ held: 'cannot tell' });
    expect(report.verdict).toBe('failed');
  });

  it('judges no response times, but shows their difference', () => {
    const report = beside({ ms: (n) => 60 + (n % 5) });
    expect(regression(report).held).toBe(true);
    const row = report.comparison?.rows.find(({ figure }) => figure === 'response time');
    expect(row).toMatchObject({ unit: 'ms', allowed: null });
    expect(row?.low).toBeGreaterThan(30);
  });

  it('says in what the two differ', () => {
    const report = beside({ users: 4 });
    expect(report.comparison?.differs_in).toContain('users');
    const md = renderMarkdown(report);
    expect(md).toContain('## Side by side with an earlier report');
    expect(md).toMatch(/\*\*The two runs differ in: users/);
  });
});
