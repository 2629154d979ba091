import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ProofRuns } from '../../../src/app/proof-runs.js';
import { FileLock } from '../../../src/store/data-slot.js';
import { temporaryFolder } from '../inference/workers/workers.js';

function runsIn(data: string, keep = 10): ProofRuns {
  const runs = new ProofRuns({ data, keep, maxUsers: 8, log: () => undefined });
  onTestFinished(() => runs.stop());
  return runs;
}

function writeRecord(data: string, id: string, state: string): string {
  const folder = path.join(data, 'proofs', id);
  mkdirSync(folder, { recursive: true });
  const record = {
    ...{ id, state, profile: 'reference', started_at: '2026-01-01T00:00:00.000Z', ended_at: null },
    ...{ sessions_done: 1, sessions_total: 10, report_url: null, reason: null },
  };
  writeFileSync(path.join(folder, 'proof.json'), JSON.stringify(record));
  return folder;
}

/** What the second server sees is what holds between processes: SQLite's lock is per connection. */
test('another server’s proof runs on, and shows its end; one of a server that died is broken', async () => {
  const data = temporaryFolder();
  const folder = writeRecord(data, 'p_theirs', 'running');
  writeRecord(data, 'p_dead', 'running');
  const lock = FileLock.take(path.join(folder, 'lock'));
  const runs = runsIn(data);
  await runs.start('http://127.0.0.1:1', '');
  const states = () => Object.fromEntries(runs.list().map(({ id, state }) => [id, state]));
  expect(states()).toEqual({ p_theirs: 'running', p_dead: 'broken' });
  lock?.release();
  writeRecord(data, 'p_theirs', 'passed');
  await vi.waitUntil(() => states().p_theirs === 'passed', { timeout: 10_000, interval: 5 });
});

test('a running proof is never removed for a new one, and what is written is private', async () => {
  const data = temporaryFolder();
  const folder = writeRecord(data, 'p_theirs', 'running');
  const lock = FileLock.take(path.join(folder, 'lock'));
  onTestFinished(() => lock?.release());
  const runs = runsIn(data, 1);
  await runs.start('http://127.0.0.1:1', '');
  const { id } = await runs.run('reference');
  expect(readFileSync(path.join(folder, 'proof.json'), 'utf8')).toContain('running');
  const modeOf = (...names: readonly string[]) =>
    statSync(path.join(data, 'proofs', ...names)).mode & 0o777;
  expect([modeOf(), modeOf(id)]).toEqual([0o700, 0o700]);
  const files = ['proof.json', 'lock', 'output.log'];
  await vi.waitFor(() => modeOf(id, 'output.log'), { timeout: 10_000, interval: 5 });
  expect(files.map((file) => modeOf(id, file))).toEqual(files.map(() => 0o600));
});

test('a proof whose folder cannot be read at its end is broken, and ends nothing else', async () => {
  const data = temporaryFolder();
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const logged: string[] = [];
  const runs = new ProofRuns({ data, keep: 10, maxUsers: 8, log: (line) => logged.push(line) });
  await runs.start('http://127.0.0.1:1', '');
  const { id } = await runs.run('reference');
  const folder = path.join(data, 'proofs', id);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'a file where the folder was');
  await vi.waitUntil(() => runs.list()[0]?.state !== 'running', { timeout: 10_000, interval: 5 });
  expect(runs.list()).toMatchObject([{ id, state: 'broken', report_url: null }]);
  expect(logged).toContain('a proof’s folder cannot be read');
  // The next one may begin, once that one's record could not be written either.
  const next = () => runs.run('reference');
  await vi.waitFor(async () => expect((await next()).id).not.toBe(id), { timeout: 10_000 });
  await runs.stop();
  expect(unhandled).toEqual([]);
});
