import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PLANS, type Plan } from '../../../src/proof/play/plan.js';
import { ProofError, type ProveOptions, prove, runProof } from '../../../src/proof/prove.js';
import { type Behaviour, type ContractServer, startContractServer } from './contract-server.js';

let folder = '';
let server: ContractServer | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plimsoll-prove-'));
  const lines = Array.from({ length: 40 }, (_, index) =>
    JSON.stringify({
      text: `${index % 2 ? 'prize' : 'lunch'} ${index}`,
      label: index % 2 ? 'spam' : 'ham',
    }),
  );
  await writeFile(join(folder, 'mail.jsonl'), lines.join('\n'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

type Different = Partial<Plan & ProveOptions>;

async function optionsFor(
  behaviour: Behaviour,
  { expectedAccuracy, timeoutMs, url, inputs, signal, ...plan }: Different = {},
): Promise<ProveOptions & { lines: string[] }> {
  server = await startContractServer(behaviour);
  const lines: string[] = [];
  return {
    ...{
      url: url ?? server.url,
      plan: { ...PLANS.reference, sessions: 2, users: 3, requests: 2, ...plan },
      expectedAccuracy,
      timeoutMs: timeoutMs ?? 15_000,
      isTerminal: false,
    },
    ...{
      inputs: inputs ?? join(folder, 'mail.jsonl'),
      out: join(folder, 'proof'),
      readingIntervalMs: 20,
    },
    write: (text) => lines.push(text),
    signal: signal ?? new AbortController().signal,
    lines,
  };
}

describe('prove', () => {
  it('passes a good server, writes the report and says where', async () => {
    const options = await optionsFor({}, { expectedAccuracy: 0.97 });
    const result = await prove(options);
    const reportPath = join(folder, 'proof', 'report.md');
    expect(result).toEqual({ verdict: 'passed', exitCode: 0, reason: null, reportPath });
    expect(await readFile(reportPath, 'utf8')).toContain('**Verdict: passed.**');
    const text = options.lines.join('');
    expect(text).toContain('Session 2 of 2: 3 of 3 users served');
    expect(text).toContain(`Verdict: passed. Report: ${reportPath}`);
    expect(text).toContain('  ?   No memory leaks from session to session');
  });

  it('fails a server that does not clean up, and names the reason', async () => {
    const options = await optionsFor({ skipsCleanup: true });
    const { verdict, exitCode, reason } = await prove(options);
    expect([verdict, exitCode]).toEqual(['failed', 1]);
    expect(reason).toMatch(
      /^“Every model was unloaded when its session had ended” does not hold: after 0 of 2/,
    );
    expect(reason).toMatch(/; and \d more\.$/);
    const text = options.lines.join('');
    expect(text).toContain('Why: “Every model was unloaded');
    expect(text).toContain(
      'NO   Every model was unloaded when its session had ended: after 0 of 2',
    );
    expect(text).toContain('freed nothing in session 1');
  });

  it('fails a server that keeps 200 KB of each session', async () => {
    const options = await optionsFor(
      { leakMb: 200 / 1024 },
      { sessions: 60, users: 1, requests: 1 },
    );
    expect(await prove(options)).toMatchObject({ verdict: 'failed' });
    expect(options.lines.join('')).toMatch(
      /NO {3}No memory leaks .*: memory grows by more than the 107 KB .* explain: slope 200 KB a session/,
    );
  });

  it('passes 30 sessions that leave nothing', async () => {
    const options = await optionsFor({}, { sessions: 30, users: 1, requests: 1 });
    expect(await prove(options)).toMatchObject({ verdict: 'passed' });
    expect(options.lines.join('')).toContain('no evidence of a leak larger than 0 KB a session');
  });

  it('writes what was played when it is stopped, and fails', async () => {
    const stop = new AbortController();
    const options = await optionsFor(
      { hold: async (request) => (request === 8 ? stop.abort() : undefined) },
      { signal: stop.signal },
    );
    const { verdict, exitCode, reason, reportPath } = await prove(options);
    expect([verdict, exitCode]).toEqual(['failed', 130]);
    expect(reason).toBe('The run was not finished: it was stopped by hand.');
    const md = await readFile(reportPath, 'utf8');
    expect(md).toContain('**This run was not finished: it was stopped by hand.**');
    expect(options.lines.join('')).toContain('Not finished: it was stopped by hand.');
  });

  it('tells a program each event and gives it the report', async () => {
    const { write: _write, lines, ...options } = await optionsFor({});
    const kinds: string[] = [];
    const { report, reportPath } = await runProof(options, (event) => kinds.push(event.kind));
    expect(kinds.filter((kind) => kind !== 'reading')).toEqual([
      'run started',
      ...Array.from({ length: 2 }, () => [
        'session started',
        ...Array<string>(6).fill('request'),
        'session ended',
      ]).flat(),
    ]);
    expect(lines).toEqual([]);
    const written = await readFile(join(folder, 'proof', 'report.json'), 'utf8');
    expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(report)));
    expect(reportPath).toBe(join(folder, 'proof', 'report.md'));
  });

  it('says how to get a server when none is there', async () => {
    const options = await optionsFor({});
    await server?.close();
    await expect(prove(options)).rejects.toThrow(
      /no Plimsoll server answers at .*ECONNREFUSED.*plimsoll serve/,
    );
  });

  it('says when the server is not ready', async () => {
    const options = await optionsFor({ notReady: true });
    await expect(prove(options)).rejects.toThrow(/is not ready \(HTTP 503, refused as NOT_READY\)/);
  });

  it.each([
    [{ sessions: 0 }, /sessions must be a whole number from 1/],
    [{ users: 1.5 }, /users must be a whole number/],
    [{ timeoutMs: 2 ** 31 }, /timeoutMs must be/],
    [{ expectedAccuracy: 97 }, /accuracy must be from 0 to 1/],
    [{ url: 'localhost:8000' }, /is not an http:\/\/ or https:\/\/ address/],
    [{ inputs: 'no-such-file.jsonl' }, /there is no file or folder of inputs/],
  ])('refuses %o', async (different, message) => {
    const proving = prove(await optionsFor({}, different));
    await expect(proving).rejects.toThrow(ProofError);
    await expect(proving).rejects.toThrow(message);
  });
});
