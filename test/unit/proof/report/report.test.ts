import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProofReport } from '../../../../src/proof/judge/report-schema.js';
import type { LoadRun } from '../../../../src/proof/play/run.js';
import {
  buildReport,
  type ReportOptions,
  writeReport,
} from '../../../../src/proof/report/report.js';
import { renderMarkdown } from '../../../../src/proof/report/report-markdown.js';
import { emptyRun, type Shape, scatter, syntheticRun } from '../synthetic-run.js';

const OPTIONS: ReportOptions = {
  ...{
    url: 'http://someone:secret@127.0.0.1:8000/',
    model: null,
    seed: 1,
    earlier: null,
    expectedAccuracy: 0.97,
  },
  ...{ readingIntervalMs: 250, requestTimeoutMs: 30_000, runTimeoutMs: 600_000 },
};

/** Uneven figures, so that a number found by chance is unlikely. */
const UNEVEN: Shape = {
  sessions: 12,
  restingMb: (n) => 131.37 + 0.41 * scatter(n),
  ms: (n) => 17.3 + 9.1 * Math.abs(scatter(n)),
  changeRow: (row) => (row.input % 31 === 0 ? { ...row, label: 'ham', cached: 'memory' } : row),
};

let out = '';
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'plimsoll-report-'));
});
afterEach(() => rm(out, { recursive: true }));

async function written(run: LoadRun): Promise<{ md: string; json: ProofReport }> {
  await writeReport(out, buildReport(run, OPTIONS), run);
  const md = await readFile(join(out, 'report.md'), 'utf8');
  return { md, json: JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) };
}

describe('report.md', () => {
  it('has every part, in order', async () => {
    const { md } = await written(syntheticRun());
    expect(md.split('\n').filter((line) => /^#{1,2} /.test(line))).toEqual([
      '# Plimsoll proof',
      '## Executive summary',
      '## Each session’s cleanup in detail',
      '## Memory usage trends',
      '## Cleanup effectiveness',
      '## Features active in this run',
      '## Load test results',
      '## Each session’s performance',
      '## Side by side with the reference run',
      '## Conclusion and verdict',
    ]);
    expect(md.match(/^### Session \d$/gm)).toHaveLength(5);
  });

  it('shows in its tables only numbers that report.json has', async () => {
    const { md, json } = await written(syntheticRun(UNEVEN));
    const { readings: _readings, requests: _requests, ...figures } = json;
    const known = collect(figures);
    const cells = md
      .split('\n')
      .filter((line) => line.startsWith('|') && !line.startsWith('| ---'))
      .flatMap((line) => line.split(' | '));
    let checked = 0;
    for (const cell of cells) {
      for (const [shown = '', unit = ''] of numbersIn(cell)) {
        expect(isKnown(shown, unit, known), `${shown}${unit} in "${cell}"`).toBe(true);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(400);
    // And an invented figure would be noticed.
    expect(isKnown('4,321.9', '', known)).toBe(false);
    expect(isKnown('73.86', ' s', known)).toBe(false);
  });

  it('lists what did not hold before the details, and again at the end', async () => {
    const { md } = await written(syntheticRun({ ms: () => 400 }));
    expect(md).toContain('**Verdict: failed.**');
    const parts = md.split('**What did not hold or could not be told:**');
    expect(parts).toHaveLength(3);
    expect(parts[1]).toContain(
      "- Answers are ten times as fast as in the reference run: **no**. 400 ms; other programs took 1.25 % of the machine's CPU time.",
    );
    expect(parts[2]).toContain('Did not hold: response.');
  });

  it('says that a cleanup freed nothing', async () => {
    const { md } = await written(
      syntheticRun({ sessions: 2, restingMb: (n) => 120 + 40 * n, takesMb: 39.5 }),
    );
    expect(md).toContain('memory freed:  freed nothing: private −1 MB');
    expect(md).toContain(
      'By its receipt the cleanup freed nothing of the private memory in session 1 and 2.',
    );
  });

  it('says that a receipt is missing', async () => {
    const run = syntheticRun({
      sessions: 1,
      change: (one) => ({ ...one, receipt: null, problem: 'gone' }),
    });
    const { md } = await written(run);
    expect(md).toContain('Cleanup after session 1: no receipt');
    expect(md).toContain('Problem: gone.');
  });

  it('is written for a run that collected nothing', async () => {
    const { md, json } = await written(emptyRun());
    expect(json.verdict).toBe('failed');
    expect(md).toContain('**This run was not finished: it was stopped by hand.**');
    expect(md).not.toMatch(/NaN|undefined|null|Infinity/);
  });
});

describe('report.json', () => {
  it('has its schema, its parts, and rows under named columns', async () => {
    const { json } = await written(syntheticRun());
    expect(json.schema).toBe('plimsoll-proof/1');
    expect(Object.keys(json)).toEqual([
      ...['schema', 'verdict', 'criteria', 'machine', 'options', 'run', 'reference'],
      ...['side_by_side', 'comparison', 'charts', 'figures', 'receipts', 'readings', 'requests'],
    ]);
    expect(json.receipts).toHaveLength(5);
    expect(json.requests.rows).toHaveLength(120);
    for (const { columns, rows } of [json.readings, json.requests]) {
      for (const row of rows) expect(row).toHaveLength(columns.length);
    }
  });

  it('keeps no credentials', async () => {
    const { json, md } = await written(syntheticRun());
    expect(json.options.url).toBe('http://127.0.0.1:8000');
    expect(JSON.stringify(json) + md).not.toContain('secret');
  });

  it('is what report.md is rendered from: nothing else goes in', async () => {
    const { json, md } = await written(syntheticRun(UNEVEN));
    expect(renderMarkdown(json)).toBe(md);
  });
});

describe('report files', () => {
  it('are whole: each chart that is referenced exists, nothing half-written stays', async () => {
    const { md } = await written(syntheticRun());
    const charts = [...md.matchAll(/\]\(charts\/([^)]+)\)/g)].map(([, file]) => file);
    expect(charts).toHaveLength(6);
    expect((await readdir(join(out, 'charts'))).sort()).toEqual(charts.sort());
    expect((await readdir(out)).sort()).toEqual([
      'charts',
      'report.html',
      'report.json',
      'report.md',
    ]);
  });

  it('of a longer run before are not left among these', async () => {
    await written(syntheticRun({ sessions: 7 }));
    await written(syntheticRun({ sessions: 2 }));
    expect((await readdir(join(out, 'charts'))).sort()).toEqual([
      ...['run.svg', 'session-1.svg', 'session-2.svg'],
    ]);
  });
});

/** Every number of the JSON, and the numbers in its texts as they are written there. */
function collect(value: unknown, into = { numbers: [] as number[], words: new Set<string>() }) {
  if (typeof value === 'number') into.numbers.push(value);
  else if (typeof value === 'string') {
    for (const [shown] of numbersIn(value)) into.words.add(shown);
  } else if (typeof value === 'object' && value !== null) {
    for (const entry of Object.values(value)) collect(entry, into);
  }
  return into;
}

function numbersIn(text: string): [string, string][] {
  // Names such as p50 or worker-1 are not figures.
  return [...text.matchAll(/(?<![\w-])−?\d[\d,]*(?:\.\d+)?( s\b)?/g)].map(([all, unit]) => [
    all.replace(/ s$/, ''),
    unit ?? '',
  ]);
}

/** Known when some number of the JSON, rounded to the digits shown, is the one shown. Seconds stand as ms there. */
function isKnown(shown: string, unit: string, known: ReturnType<typeof collect>): boolean {
  if (known.words.has(shown)) return true;
  const places = shown.split('.')[1]?.length ?? 0;
  const value = Number(shown.replaceAll(',', '').replace('−', '-'));
  const scale = unit === '' ? 1 : 1000;
  return known.numbers.some((one) => Math.abs(one / scale - value) <= 0.5001 * 10 ** -places);
}
