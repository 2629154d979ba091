import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import type { ProofReport } from '../../src/proof/judge/report-schema.js';
import {
  childrenOf,
  get,
  run,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import type { Run } from './processes.js';

/**
 * One worker, so that a session unloads its model once; no recycle, which would take a leak back; no
 * limit on growth, which would replace the leaking worker.
 */
const UNDISTURBED = {
  'worker.count': 1,
  'recycle.after_users': 100_000,
  'recycle.after_growth': '10G',
};
/** Enough that a leak of 200 KB stands out from 5 MB of warming up, and from what else a busy machine adds to a session. */
const SESSIONS = 100;

async function start(program?: string): Promise<Server> {
  const server = await startServer({
    settings: UNDISTURBED,
    ...(program === undefined
      ? {}
      : {
          program: fileURLToPath(new URL(`../fixtures/servers/${program}.mjs`, import.meta.url)),
        }),
  });
  await until('the bundled model is prepared', async () => {
    const { models } = await get<Models>(server, '/v1/models');
    return models[0]?.private_mb;
  });
  // It would count as a process that was replaced during the session.
  await until('the process that prepared it has ended', () => childrenOf(server.pid).length === 1);
  return server;
}

/** The proof as a user runs it, against a server that stands already. */
async function proveAgainst(
  server: Server,
  sessions: number,
): Promise<Run & { readonly report: ProofReport }> {
  const out = await temporaryFolder();
  const counts = ['--sessions', String(sessions), '--users', '1', '--requests', '1'];
  const ran = await run(['prove', '--url', server.url, '--out', out, ...counts], {
    withinMs: 110_000,
  });
  const report: ProofReport = JSON.parse(await readFile(path.join(out, 'report.json'), 'utf8'));
  return { ...ran, report };
}

/** What the criteria on memory say; times are not looked at, as the machine may be busy. */
function memoryCriteria({ criteria }: ProofReport): Readonly<Record<string, unknown>> {
  const ids = ['cleanups', 'models', 'leak', 'gives-back'];
  return Object.fromEntries(
    criteria.filter(({ id }) => ids.includes(id)).map(({ id, held }) => [id, held]),
  );
}

describe('the proof', () => {
  test('fails a server that keeps 200 KB of each session, and says so', async () => {
    const server = await start('leaks');
    const { code, stdout, report } = await proveAgainst(server, SESSIONS);
    expect(memoryCriteria(report)).toMatchObject({ leak: false });
    const { trend } = report.figures;
    expect(trend.low_kb).toBeGreaterThan(trend.claimed_above_kb ?? Infinity);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      / NO {3}No memory leaks from session to session: memory grows by more than the \d+ KB/,
    );
    expect(stdout).toContain('Verdict: failed.');
    await server.stop();
  });

  test('fails a server that does not clean up, whatever its receipts say', async () => {
    const server = await start('keeps-everything');
    const { code, stdout, report } = await proveAgainst(server, 2);
    expect(report.receipts[0]?.receipt.actions).toContainEqual(
      expect.objectContaining({ action: 'unload_model', freed_mb: 20 }),
    );
    expect(memoryCriteria(report)).toMatchObject({ 'gives-back': false });
    expect(code).toBe(1);
    expect(stdout).toMatch(/ NO {3}A cleanup gives back memory .*; freed nothing in session 1/);
    await server.stop();
  });

  test('finds neither in a clean server', async () => {
    const server = await start();
    const { report } = await proveAgainst(server, SESSIONS);
    const found = memoryCriteria(report);
    expect(found).toMatchObject({ cleanups: true, models: true, 'gives-back': true });
    // Undecided on a machine that is too busy to tell, but never taken for a leak.
    expect(found.leak).not.toBe(false);
    await server.stop();
  });
});
