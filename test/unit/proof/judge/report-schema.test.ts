import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { PLANS } from '../../../../src/proof/play/plan.js';
import type { LoadRun } from '../../../../src/proof/play/run.js';
import { buildReport, type ReportOptions } from '../../../../src/proof/report/report.js';
import { emptyRun, syntheticRun } from '../synthetic-run.js';

const file = (name: string) => new URL(`../../../../docs/${name}`, import.meta.url);
const schema = JSON.parse(readFileSync(file('proof-report.schema.json'), 'utf8'));
const validate = new Ajv({ allErrors: true }).compile(schema);

const OPTIONS: ReportOptions = {
  ...{
    url: 'http://127.0.0.1:8000',
    model: 'spam',
    seed: 1,
    expectedAccuracy: 0.97,
    earlier: null,
  },
  ...{ readingIntervalMs: 250, requestTimeoutMs: 30_000, runTimeoutMs: 600_000 },
};

/** As it is written: what JSON cannot hold would show. */
function written(run: LoadRun, options: Partial<ReportOptions> = {}): unknown {
  return JSON.parse(JSON.stringify(buildReport(run, { ...OPTIONS, ...options })));
}

function faultsOf(report: unknown): unknown {
  validate(report);
  return validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`) ?? [];
}

/** Reports that the documents show. */
const COMMITTED = ['proof/report.json.gz', 'proof/reference.json.gz'].filter((name) =>
  existsSync(file(name)),
);

const disturbance = { what: 'workers killed', detail: '3 workers killed', overcome: true };

describe('docs/proof-report.schema.json', () => {
  it.each([
    ['a usual run', syntheticRun()],
    ['a run that collected nothing', emptyRun()],
    ['a soak', syntheticRun({ sessions: 60, plan: { ...PLANS.soak } })],
    ['a ramp', syntheticRun({ plan: { ...PLANS.ramp } })],
    ['an open loop', syntheticRun({ plan: { ratePerS: 20 } })],
    ['chaos', syntheticRun({ plan: PLANS.chaos, change: (one) => ({ ...one, disturbance }) })],
  ])('describes the report of %s', (_, run) => {
    expect(faultsOf(written(run))).toEqual([]);
  });

  it('describes a report beside an earlier one', () => {
    const earlier = buildReport(syntheticRun({ sessions: 30 }), OPTIONS);
    expect(faultsOf(written(syntheticRun(), { earlier }))).toEqual([]);
  });

  it('refuses what is missing, unknown or of another type', () => {
    const report = written(syntheticRun()) as Record<string, unknown>;
    const { verdict: _verdict, ...without } = report;
    expect(faultsOf(without)).not.toEqual([]);
    expect(faultsOf({ ...report, more: 1 })).not.toEqual([]);
    expect(
      faultsOf({ ...report, run: { ...(report.run as object), duration_ms: '5' } }),
    ).not.toEqual([]);
    expect(faultsOf({ ...report, schema: 'plimsoll-proof/0' })).not.toEqual([]);
  });

  it.each(COMMITTED)('describes docs/%s', (name) => {
    const text = gunzipSync(readFileSync(file(name))).toString('utf8');
    expect(faultsOf(JSON.parse(text))).toEqual([]);
  });
});
