import { describe, expect, test } from 'vitest';
import { figuresPage } from '../../../bench/figures/figures-page.js';
import { withLinesBetween } from '../../../bench/figures/lines.js';
import { README_BENCHMARKS, readmeFigures } from '../../../bench/figures/readme-figures.js';
import { scaleTables } from '../../../bench/figures/scale-tables.js';
import { atMost } from '../../../bench/harness/checks.js';
import { readResults } from '../../../bench/harness/results-folder.js';
import { benchmarks } from '../../../bench/index.js';
import { likely } from '../../../bench/usage.js';
import { resultWith } from './results.js';

const good = atMost('p99', 12, 100, 'ms');
const bad = atMost('growth', 3, 1, '%');
const none = atMost('items/s', { notMeasured: 'too few answers' }, 2);

describe('docs/figures.md', () => {
  test('says of each result what it shows, its bars, where it is from and what disturbed it', () => {
    const page = figuresPage([
      resultWith({
        checks: [good],
        facts: [{ fact: 'answers', value: '10' }],
        disturbed_by: ['other processes took 9 % of the CPU time'],
      }),
    ]);
    expect(page).toContain('## Memory');
    expect(page).toContain('### some\n\nRequests that fail while it runs.\n\n**0 of 10**\n');
    expect(page).toContain('| p99 | 12 ms | ≤ 100 ms | holds |');
    expect(page).toContain('- answers: 10');
    expect(page).toContain(
      '`npm run bench -- some` · 2026-01-02 · Plimsoll 1.2.3 · 2 s · **disturbed**: other processes took 9 % of the CPU time',
    );
    expect(page).toContain('2 cores of a CPU, 8 GB, Linux 6.18, glibc 2.36, Node 20.20.2');
    expect(page).not.toContain('What does not hold');
    expect(page).not.toContain('What could not be measured');
  });

  test('lists first what does not hold, then what could not be measured', () => {
    const page = figuresPage([
      resultWith({ name: 'one', checks: [good, bad, none] }),
      resultWith({ name: 'two', not_run: 'there is no cgroup | here' }),
      resultWith({ name: 'three', error: 'Error: it did not start' }),
    ]);
    const [, missed = '', unknown = ''] = page.split('\n## ');
    expect(missed).toContain('| [`one`](#one) | growth | 3 % | ≤ 1 % |');
    expect(missed).toContain('| [`three`](#three) |  | broke down |  |');
    expect(missed).not.toContain('p99');
    expect(unknown).toContain('| [`one`](#one) | items/s | not measured: too few answers | ≤ 2 |');
    expect(unknown).toContain('| [`two`](#two) |  | there is no cgroup \\| here |  |');
  });

  test('tells a quiet machine from one of which nothing is known', () => {
    const quiet = resultWith({ name: 'quiet', checks: [good] });
    const { disturbed_by: _, ...unknown } = resultWith({ name: 'unknown', checks: [good] });
    const page = figuresPage([quiet, unknown]);
    expect(page).toContain('-- quiet` · 2026-01-02 · Plimsoll 1.2.3 · 2 s · undisturbed');
    expect(page).toMatch(/-- unknown` .* · other work on the machine was not recorded/);
  });
});

describe('the README’s figures', () => {
  const all = README_BENCHMARKS.map((name) => resultWith({ name, checks: [good] }));

  test('are five to seven, of benchmarks that there are', () => {
    expect(README_BENCHMARKS.length).toBeGreaterThanOrEqual(5);
    expect(README_BENCHMARKS.length).toBeLessThanOrEqual(7);
    const names = benchmarks.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...README_BENCHMARKS]));
  });

  test('have a line each, with the bars that were missed and a mark for disturbed ones', () => {
    const [first, second, ...rest] = all;
    if (first === undefined || second === undefined) throw new Error('there are no figures');
    const results = [
      { ...first, checks: [good, bad, none] },
      { ...second, disturbed_by: ['steal'] },
      ...rest,
    ];
    const lines = readmeFigures(results);
    expect(lines).toHaveLength(all.length + 4);
    expect(lines[2]).toBe(
      `| Requests that fail while it runs | 0 of 10 | 1 of 3 missed, 1 not measured | \`npm run bench -- ${first.name}\` |`,
    );
    expect(lines[3]).toContain('0 of 10 ¹ | all met');
    expect(lines.at(-1)).toMatch(/^Measured on 2 cores .*\. ¹ Measured beside other work/);
  });

  test('are not there without their results', () => {
    expect(() => readmeFigures(all.slice(1))).toThrow(`${all[0]?.name}.json`);
  });

  test('go between marks, and nothing else changes', () => {
    const document = 'before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n';
    expect(withLinesBetween(document, 'figures', ['new'])).toBe(
      'before\n<!-- figures -->\nnew\n<!-- /figures -->\nafter\n',
    );
    expect(() => withLinesBetween('no marks', 'figures', [])).toThrow('<!-- figures -->');
  });
});

describe('the plans of docs/scale.md', () => {
  const facts = (pairs: Readonly<Record<string, string>>) =>
    Object.entries(pairs).map(([fact, value]) => ({ fact, value }));
  const round = { server: 500, cpuOfItem: { main: 1, workers: 3 } };
  const results = [
    resultWith({ name: 'throughput', details: { models: [{ model: 'spam', rounds: [round] }] } }),
    resultWith({
      name: 'cached',
      details: {
        turns: { memory: [{ serverUsPerRequest: 50 }], redis: [{ serverUsPerRequest: 100 }] },
      },
    }),
    resultWith({
      name: 'start',
      details: { ways: { 'as a unit or a container': [{ allMb: 60 }] } },
    }),
    resultWith({ name: 'share', facts: facts({ 'each further worker': '25.0 MB' }) }),
    resultWith({
      name: 'costs',
      facts: facts({
        'Redis, idle': '5.0 MB (PSS)',
        'Redis: a result of 2 labels': '200 bytes; its CPU for SET 4.0 µs, for MGET of one 2.0 µs',
        'PostgreSQL with 1 connection': '22 MB (PSS)',
        'PostgreSQL with 20 connections': '50 MB (PSS)',
        'HAProxy with deploy/compose/haproxy.cfg, idle': '8.2 MB (PSS)',
      }),
      details: {
        redis_bytes: [200, 230, 400],
        database: {
          ...{ bytes: 230, indexBytes: 55, walBytes: 480 },
          ...{ perSecond: 3500, databaseUs: 30, countPerSecond: 2_000_000 },
        },
      },
    }),
  ];

  test('follow from what was measured', () => {
    const tables = scaleTables(results);
    expect(tables.costs?.at(-1)).toBe('| bundled model [t] | 1 ms | 3 ms | 250/s | 500/s |');
    // 11,574 texts/s of 4 ms, and of 500 a second.
    expect(tables.jobs?.at(-1)).toBe('| bundled model | 47 | 24 |');
    // 10⁵ × (0.1 × 4 ms + 0.9 × 0.1 ms).
    expect(tables.cores).toContain('| 90 % | 49 |');
    // 1 ÷ (0.9 × 0.1 ms + 0.1 × 1 ms) = 5,263/s, whose misses take 1.6 cores; 10⁵ ÷ 70 % of it.
    expect(tables.servers).toContain('| bundled model | 5,300/s | 2 | 28 | 84 |');
    expect(tables.redis?.join()).toContain('420,000 lookups/s');
    expect(tables.postgresql?.join()).toContain('more than 30 million rows');
  });

  test('are not there without their results', () => {
    expect(() => scaleTables(results.slice(1))).toThrow('bench/results has no throughput.json');
    const [other = resultWith({})] = results;
    const without = [{ ...other, details: {} }, ...results.slice(1)];
    expect(() => scaleTables(without)).toThrow('throughput.json does not say: models');
  });
});

test('every result that is kept is one that a benchmark still writes', async () => {
  const names = new Set(benchmarks.map(({ name }) => name));
  const results = await readResults();
  expect(results.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([]);
  expect(results.filter(({ quick }) => quick === true).map(({ name }) => name)).toEqual([]);
});

test.each([
  ['thruput', ' Did you mean throughput?'],
  ['retrun', ' Did you mean return?'],
  ['lst', ' Did you mean list?'],
  ['outage', ' Did you mean redis-outage or database-outage?'],
  ['nothing-like-it', ''],
])('a wrong name %j: %j', (wrong, sentence) => {
  expect(likely(wrong)).toBe(sentence);
});
