import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ErrorBody } from '../../src/contract/errors.js';
import type { ProofStarted, Proofs, ProofView } from '../../src/contract/proofs.js';
import {
  argumentsOf,
  childrenOf,
  classify,
  get,
  isRunning,
  post,
  request,
  type Server,
  startServer,
  until,
} from './harness.js';

async function proofs(server: Server): Promise<readonly ProofView[]> {
  return (await get<Proofs>(server, '/v1/proofs')).proofs;
}

/** The server's child processes that play a proof: it has others, such as the one that prepares a model. */
function proversOf(server: Server): readonly number[] {
  return childrenOf(server.pid).filter((pid) => argumentsOf(pid).includes('prove'));
}

/** The newest proof, once it is no longer running. */
function ended(server: Server): Promise<ProofView> {
  return until(
    'the proof ends',
    async () => {
      const [proof] = await proofs(server);
      return proof?.state === 'running' ? undefined : proof;
    },
    100_000,
  );
}

describe('/v1/proofs', () => {
  test('runs the reference profile beside the server, one at a time, and keeps its report', async () => {
    const server = await startServer({ settings: { 'proofs.keep': 1 } });
    expect(await proofs(server)).toEqual([]);
    // The ambient session of this still works with the model when the proof begins.
    await classify(server, 'somebody was here');
    const started = await request<ProofStarted>(server, 'POST', '/v1/proofs', { body: {} });
    expect(started).toMatchObject({ status: 202, body: { state: 'running' } });
    expect(proversOf(server)).toHaveLength(1);
    const second = await request<ErrorBody>(server, 'POST', '/v1/proofs');
    expect(second).toMatchObject({ status: 409, body: { error: { code: 'PROOF_RUNNING' } } });
    expect(second.headers['retry-after']).toBeDefined();
    expect(proversOf(server)).toHaveLength(1);

    const proof = await ended(server);
    const report_url = `/v1/proofs/${started.body.id}/report`;
    expect(proof).toMatchObject({
      profile: 'reference',
      sessions_done: 5,
      sessions_total: 5,
      report_url,
    });
    // A busy machine may miss a bound on time: what is asked of this is a verdict, whichever.
    expect(['passed', 'failed']).toContain(proof.state);
    expect(proof.reason === null).toBe(proof.state === 'passed');
    const written = path.join(server.data, 'proofs', proof.id, 'report.json');
    const { criteria } = JSON.parse(await readFile(written, 'utf8')) as {
      readonly criteria: readonly { readonly id: string; readonly held: unknown }[];
    };
    expect(criteria.find(({ id }) => id === 'models')).toMatchObject({ held: true });
    expect(Date.parse(proof.ended_at ?? '')).toBeGreaterThan(Date.parse(proof.started_at));
    const report = await request<string>(server, 'GET', report_url);
    expect(report.status).toBe(200);
    expect(report.headers['content-type']).toMatch(/^text\/html/);
    expect(report.headers['content-security-policy']).toContain("default-src 'none'");
    expect(report.text).toMatch(/<p class="verdict verdict-(passed|failed)">/);

    await server.stop();
    const again = await startServer({ data: server.data, settings: { 'proofs.keep': 1 } });
    expect(await proofs(again)).toEqual([proof]);
    await post(again, '/v1/proofs', { profile: 'reference' });
    expect((await proofs(again)).map(({ id }) => id)).not.toContain(proof.id);
    expect(await readdir(path.join(server.data, 'proofs'))).toHaveLength(1);
    const gone = await request<ErrorBody>(again, 'GET', report_url);
    expect(gone).toMatchObject({ status: 404, body: { error: { code: 'PROOF_NOT_FOUND' } } });

    const workers = childrenOf(again.pid);
    await again.stop();
    expect(workers.filter(isRunning)).toEqual([]);
    const third = await startServer({ data: server.data });
    expect(await proofs(third)).toMatchObject([{ state: 'broken' }]);
    await third.stop();
  });

  test('refuses a profile that it does not know', async () => {
    const server = await startServer();
    const reply = await request<ErrorBody>(server, 'POST', '/v1/proofs', {
      body: { profile: 'x' },
    });
    expect(reply).toMatchObject({ status: 400, body: { error: { code: 'INVALID_REQUEST' } } });
    await server.stop();
  });
});
