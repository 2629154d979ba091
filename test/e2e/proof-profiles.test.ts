import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ProofReport } from '../../src/proof/judge/report-schema.js';
import { PostgresqlServer } from '../servers/postgresql.js';
import { RedisServer } from '../servers/redis.js';
import { postgresql, redis } from '../servers/tools.js';
import { childrenOf, isRunning, run, temporaryFolder, until } from './harness.js';
import { exitOf, launch } from './processes.js';

const WITHIN_MS = 110_000;
/** The full number is the benchmark `proof-repeat`. */
const REPEATS = 2;

async function reportIn(out: string): Promise<ProofReport> {
  return JSON.parse(await readFile(path.join(out, 'report.json'), 'utf8'));
}

/** A proof of a server that it starts. */
async function prove(...flags: readonly string[]) {
  const out = path.join(await temporaryFolder(), 'proof');
  const data = path.join(await temporaryFolder(), 'data');
  const ran = await run(['prove', '--out', out, '--data', data, ...flags], { withinMs: WITHIN_MS });
  return { ...ran, out, report: await reportIn(out) };
}

/** Durations depend on how fast the machine is, and what else runs on it: they are judged, and not tested here. */
const IN_TIME = new Set(['response', 'cleanup-time', 'cleanup-cost']);

function heldOf({ criteria }: ProofReport, id: string): unknown {
  return criteria.find((one) => one.id === id)?.held;
}

describe('plimsoll prove', () => {
  test(`passes a clean server ${REPEATS} times of ${REPEATS}, by the reference profile`, async () => {
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      const { code, stdout, report } = await prove();
      const failed = report.criteria.filter(({ held }) => held === false);
      const others = failed.filter(({ id }) => !IN_TIME.has(id));
      expect(others.map(({ id, value }) => `${id}: ${value}`)).toEqual([]);
      const isLate = failed.length > 0;
      expect(report.verdict, stdout).toBe(isLate ? 'failed' : 'passed');
      expect(code).toBe(isLate ? 1 : 0);
    }
  });

  test('soaks until its time is over, and holds memory against the report before', async () => {
    const few = ['--requests', '2', '--users', '2'];
    const first = await prove('--profile', 'soak', '--duration', '6s', ...few);
    expect(first.report.run.stopped).toBeNull();
    expect(first.report.figures.load.sessions_played).toBeGreaterThan(1);
    expect(first.report.run.duration_ms).toBeGreaterThanOrEqual(6000);
    const compare = path.join(first.out, 'report.json');
    const sessions = ['--sessions', '6', ...few];
    const second = await prove(...sessions, '--compare', compare);
    expect(second.report.comparison?.rows.map(({ figure }) => figure)).toContain(
      'private memory after a cleanup',
    );
    expect(heldOf(second.report, 'regression')).not.toBe(false);
    expect(second.stdout).toMatch(/Memory has not grown since the earlier report: private memory/);
  });

  test('writes what was played when Ctrl-C ends it, and leaves no server behind', async () => {
    const out = path.join(await temporaryFolder(), 'proof');
    const data = path.join(await temporaryFolder(), 'data');
    const child = launch(['prove', '--profile', 'soak', '--out', out, '--data', data]);
    const exited = exitOf(child);
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    await until('a session was played', () => printed.includes('Session 1:'), WITHIN_MS);
    const [server = -1] = childrenOf(child.pid ?? -1);
    expect(isRunning(server)).toBe(true);
    child.kill('SIGINT');
    expect(await exited).toMatchObject({ code: 130 });
    const report = await reportIn(out);
    expect(report.run.stopped).toBe('it was stopped by hand');
    expect(report.figures.load.sessions_played).toBeGreaterThanOrEqual(1);
    expect(existsSync(path.join(out, 'report.html'))).toBe(true);
    expect(isRunning(server)).toBe(false);
  });

  test('ramps up to where the server refuses, which it does cleanly, and is served again', async () => {
    const small = ['--set', 'queue.max_inputs=12', '--set', 'cache.max_size=0'];
    const { code, report } = await prove('--profile', 'ramp', '--users', '64', ...small);
    const { ramp } = report.figures;
    expect(ramp?.refused_users).toBeGreaterThan(ramp?.served_users ?? Infinity);
    expect(ramp?.unclean).toEqual([]);
    expect(heldOf(report, 'refusals')).toBe(true);
    expect(heldOf(report, 'recovery')).toBe(true);
    expect(code).toBe(0);
  });

  test('refuses to disturb a server that is not its own, and what is no profile', async () => {
    const strange = await run(['prove', '--profile', 'chaos', '--url', 'http://127.0.0.1:9']);
    expect(strange).toMatchObject({ code: 2 });
    expect(strange.stderr).toContain('without --url');
    const unknown = await run(['prove', '--profile', 'storm']);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toContain('reference, soak, ramp, chaos');
  });
});

describe.skipIf(redis === undefined || postgresql === undefined)('chaos', () => {
  test('kills workers, takes memory, cuts off a real Redis and PostgreSQL: nobody fails', async () => {
    const [cache, database] = await Promise.all([
      RedisServer.start(redis),
      PostgresqlServer.start(postgresql),
    ]);
    const servers = [
      '--set',
      `redis.url=${cache.url()}`,
      '--set',
      `database.url=${database.url()}`,
    ];
    const counts = ['--sessions', '8', '--users', '4', '--requests', '10'];
    const { report, stdout } = await prove('--profile', 'chaos', ...counts, ...servers);
    await Promise.all([cache.stop(), database.stop()]);
    const disturbed = report.figures.sessions.flatMap(({ disturbance }) => disturbance ?? []);
    expect(disturbed.map(({ what }) => what)).toEqual([
      ...['workers killed', 'memory taken away', 'Redis cut off', 'PostgreSQL cut off'],
    ]);
    for (const { overcome, detail } of disturbed) expect(overcome, detail).toBe(true);
    expect(report.figures.load.failures, stdout).toEqual([]);
    expect(heldOf(report, 'disturbances')).toBe(true);
    expect(heldOf(report, 'users')).toBe(true);
    const cached = report.figures.features.find(({ feature }) => feature === 'Connection pools');
    expect(cached?.counters.map(({ labels }) => labels)).toContain('pool="redis"');
  });
});
