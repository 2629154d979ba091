import { describe, expect, it } from 'vitest';
import type { LoadRun } from '../../../../src/proof/play/run.js';
import { Progress } from '../../../../src/proof/report/progress.js';
import { syntheticRun } from '../synthetic-run.js';

/** Tells a progress what a run's events would have told it, a clock running along. */
function shown(run: LoadRun, isTerminal: boolean, columns = 200): string[] {
  const written: string[] = [];
  let now = 0;
  const progress = new Progress({
    ...{ plan: run.plan, isTerminal, columns, now: () => now },
    write: (text) => written.push(text),
  });
  for (const session of run.sessions) {
    progress.observe({
      kind: 'session started',
      session: session.number,
      users: run.plan.users,
    });
    for (const reading of run.readings.items.filter((one) => one.session === session.number)) {
      progress.observe({ kind: 'reading', reading });
    }
    for (const row of run.requests.items.filter((one) => one.session === session.number)) {
      now += 50;
      progress.observe({ kind: 'request', row });
    }
    progress.observe({ kind: 'session ended', session });
  }
  progress.finish();
  return written;
}

describe('progress', () => {
  it('without a terminal writes whole lines only, the known ones of a cleanup among them', () => {
    const written = shown(syntheticRun({ sessions: 1 }), false);
    expect(written.every((text) => text.endsWith('\n') && !text.includes('\u001b'))).toBe(true);
    const lines = written.map((line) => line.trimEnd());
    expect(lines[0]).toMatch(
      /^Session 1 of 1: 8 of 8 users served, 24 requests, 905 ms, p50 .* p99 /,
    );
    expect(lines.slice(1).map((line) => line.slice(0, 17).trimEnd())).toEqual([
      ...[
        'Cleanup after ses',
        '  memory before:',
        '  memory after:',
        '  memory freed:',
        '  done in 41 ms',
      ],
    ]);
  });

  it('on a terminal keeps one line up to date and clears it before others', () => {
    const written = shown(syntheticRun({ sessions: 2 }), true);
    const status = written.filter((text) => text.startsWith('\r') && text.includes('·'));
    expect(status.length).toBeGreaterThan(5);
    expect(status.every((text) => !text.includes('\n'))).toBe(true);
    expect(status.at(-1)).toMatch(
      /session 2\/2 · 8 users · \d+\/24 · \d+\/s · p50 .* of line · freed 40 MB$/,
    );
    expect(written.at(-1)?.endsWith('\n')).toBe(true);
  });

  it('cuts the status line to the terminal', () => {
    const written = shown(syntheticRun({ sessions: 2 }), true, 40);
    for (const text of written.filter((one) => one.includes('·'))) {
      expect(text.replace('\r\u001b[2K', '').length).toBeLessThan(40);
    }
  });

  it('shows failures and problems', () => {
    const run = syntheticRun({
      sessions: 1,
      changeRow: (row) => (row.input < 2 ? { ...row, ok: false, code: 'TIMEOUT' } : row),
      change: (session) => ({
        ...session,
        problem: 'the reply has no cleanup receipt',
        receipt: null,
      }),
    });
    const text = shown(run, false).join('');
    expect(text).toContain('24 requests, 2 FAILED');
    expect(text).toContain('problem: the reply has no cleanup receipt');
    expect(text).toContain('Cleanup after session 1: no receipt');
  });
});
