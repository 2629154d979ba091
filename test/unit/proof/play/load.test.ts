import { afterEach, describe, expect, it } from 'vitest';
import type { InputSet } from '../../../../src/proof/play/inputs.js';
import { type LoadOptions, runLoad } from '../../../../src/proof/play/load.js';
import { PLANS, type Plan } from '../../../../src/proof/play/plan.js';
import type { LoadEvent } from '../../../../src/proof/play/run.js';
import { type Behaviour, type ContractServer, startContractServer } from '../contract-server.js';

let server: ContractServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const INPUTS: InputSet = {
  name: 'mail.jsonl',
  sha256: '00',
  inputs: Array.from({ length: 20 }, (_, index) => ({
    text: index % 2 === 0 ? `prize ${index}` : `lunch ${index}`,
    label: index % 2 === 0 ? 'spam' : 'ham',
  })),
};

async function start(behaviour: Behaviour = {}): Promise<ContractServer> {
  server = await startContractServer(behaviour);
  return server;
}

type Different = Partial<Plan & LoadOptions>;

function optionsFor(
  url: string,
  { model, signal, requestTimeoutMs, runTimeoutMs, ...plan }: Different = {},
): LoadOptions {
  return {
    plan: { ...PLANS.reference, sessions: 2, users: 3, requests: 4, ...plan },
    ...{ url, model, inputSet: INPUTS, seed: 1, readingIntervalMs: 20 },
    requestTimeoutMs: requestTimeoutMs ?? 5_000,
    runTimeoutMs: runTimeoutMs ?? 15_000,
    signal: signal ?? new AbortController().signal,
  };
}

describe('load against a server', () => {
  it('plays every session, user and request, and collects receipts and readings', async () => {
    const { url, classified, ended } = await start();
    const run = await runLoad(optionsFor(url));
    expect(run.stopped).toBeNull();
    expect(run.requests.items).toHaveLength(24);
    expect(run.requests.items.every((row) => row.ok && row.label === row.expected)).toBe(true);
    expect(run.requests.items.every((row) => row.ms > 0 && row.cached === 'none')).toBe(true);
    expect(new Set(classified.map((body) => body.user)).size).toBe(6);
    expect(ended).toEqual(['session-1', 'session-2']);
    for (const session of run.sessions) {
      expect(session.state).toBe('ended');
      expect(session.users).toEqual(['successful', 'successful', 'successful']);
      expect(session.models).toEqual(['spam']);
      expect(session.modelsAfter).toEqual([{ id: 'spam', state: 'unloaded', private_mb: null }]);
      expect(session.receipt?.before?.private_mb).toBe(168);
      expect(session.receipt?.after?.private_mb).toBe(120);
      expect(session.before?.privateMb).toBe(120);
      expect(session.beforeCleanup?.privateMb).toBe(168);
      expect(session.after?.privateMb).toBe(120);
    }
    expect(run.counters.after?.get('plimsoll_model_unloads_total')).toBe(102);
  });

  it('gives users different texts, then wraps round', async () => {
    const { url, classified } = await start();
    await runLoad(optionsFor(url));
    const texts = classified.map((body) => body.inputs);
    expect(new Set(texts.slice(0, 12)).size).toBe(12);
    expect(new Set(texts).size).toBe(20);
  });

  it('plays sessions one after the other and users at once', async () => {
    let inFlight = 0;
    let most = 0;
    let all: () => void = () => undefined;
    const together = new Promise<void>((resolve) => {
      all = resolve;
    });
    const { url, classified } = await start({
      hold: async () => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        // The first requests of the three users wait for each other: one user at a time would hang.
        if (inFlight === 3) all();
        await together;
        inFlight -= 1;
      },
    });
    await runLoad(optionsFor(url));
    expect(most).toBe(3);
    const order = classified.map((body) => body.session);
    expect(order).toEqual([...order].sort());
  });

  it('reads the memory while a session plays', async () => {
    let readings = 0;
    let enough: () => void = () => undefined;
    const watched = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const { url } = await start({ hold: () => watched });
    const run = await runLoad(optionsFor(url, { sessions: 1, users: 1, requests: 1 }), (event) => {
      if (event.kind === 'reading' && event.reading.phase === 'during session') readings += 1;
      if (readings === 3) enough();
    });
    expect(readings).toBeGreaterThanOrEqual(3);
    expect(run.readings.items.map((reading) => reading.phase).at(-1)).toBe('after cleanup');
  });

  it('tells what happens in order', async () => {
    const { url } = await start();
    const kinds: string[] = [];
    await runLoad(
      optionsFor(url, { sessions: 1, users: 1, requests: 2 }),
      ({ kind }: LoadEvent) => {
        if (kind !== 'reading') kinds.push(kind);
      },
    );
    expect(kinds).toEqual(['session started', 'request', 'request', 'session ended']);
  });
});

describe('load against a server that fails', () => {
  it('records refusals with their code, retries nothing, and fails those users alone', async () => {
    const { url, classified } = await start({
      refuse: (request) => (request === 2 ? { status: 503, code: 'QUEUE_FULL' } : undefined),
    });
    const run = await runLoad(optionsFor(url));
    expect(classified).toHaveLength(24);
    const failed = run.requests.items.filter((row) => !row.ok);
    expect(failed).toMatchObject([{ status: 503, code: 'QUEUE_FULL', label: null, cached: null }]);
    const outcomes = run.sessions.flatMap((session) => session.users);
    expect(outcomes.filter((outcome) => outcome === 'failed')).toHaveLength(1);
  });

  it('counts a lost connection as failure', async () => {
    const started = await start({
      hold: (request) => (request === 5 ? started.close() : Promise.resolve()),
    });
    const run = await runLoad(optionsFor(started.url));
    server = undefined;
    const codes = new Set(run.requests.items.filter((row) => !row.ok).map((row) => row.code));
    expect([...codes].every((code) => code === 'ECONNRESET' || code === 'ECONNREFUSED')).toBe(true);
    expect(codes.size).toBeGreaterThan(0);
    expect(run.sessions[0]?.state).toBe('not ended');
    expect(run.sessions[1]?.state).toBe('not opened');
  });

  it('goes on when nothing listens', async () => {
    const { url } = await start();
    await server?.close();
    server = undefined;
    const run = await runLoad(optionsFor(url));
    expect(run.sessions.map((session) => session.state)).toEqual(['not opened', 'not opened']);
    expect(run.sessions[0]?.problem).toMatch(/^ECONNREFUSED/);
    expect(run.sessions[0]?.users).toEqual(['failed', 'failed', 'failed']);
    expect(run.readingTotals.missed).toBeGreaterThan(0);
    expect(run.stopped).toBeNull();
  });

  it('gives a slow request up at its timeout', async () => {
    const { url } = await start({
      hold: (request) => (request === 1 ? new Promise(() => undefined) : Promise.resolve()),
    });
    const run = await runLoad(
      optionsFor(url, { sessions: 1, users: 1, requests: 2, requestTimeoutMs: 80 }),
    );
    expect(run.requests.items).toMatchObject([
      { ok: false, status: 0, code: 'TIMEOUT' },
      { ok: true, status: 200 },
    ]);
    expect(run.requests.items[0]?.ms).toBeGreaterThanOrEqual(75);
  });

  it('records sessions that are refused', async () => {
    const { url } = await start({ refuseSessions: true });
    const run = await runLoad(optionsFor(url));
    expect(run.sessions[0]?.problem).toBe('UNDER_PRESSURE: refused as UNDER_PRESSURE');
    expect(run.requests.items).toEqual([]);
  });

  it.each([
    ['not JSON', '<html>'],
    ['no label', '{"model":"spam","results":[[]]}'],
    ['a score that is none', '{"model":"spam","results":[[{"label":"spam","score":"high"}]]}'],
  ])('takes a 200 reply with %s for a failure', async (_, classifyBody) => {
    const { url } = await start({ classifyBody });
    const run = await runLoad(optionsFor(url, { sessions: 1, users: 1, requests: 1 }));
    expect(run.requests.items).toMatchObject([{ ok: false, status: 200, code: 'BAD_REPLY' }]);
  });

  it('says when a session ends without a receipt', async () => {
    const { url } = await start({ withoutReceipt: true, withoutMetrics: true });
    const run = await runLoad(optionsFor(url, { sessions: 1 }));
    expect(run.sessions[0]).toMatchObject({ state: 'ended', receipt: null });
    expect(run.sessions[0]?.problem).toBe('the reply has no cleanup receipt');
    expect(run.counters).toEqual({ before: null, after: null });
  });
});

describe('stopping a load', () => {
  it('at a signal ends the open session and keeps what was played', async () => {
    const stop = new AbortController();
    const { url, ended } = await start();
    let requests = 0;
    const run = await runLoad(optionsFor(url, { signal: stop.signal }), (event) => {
      if (event.kind === 'request') requests += 1;
      if (requests === 5) stop.abort();
    });
    expect(run.stopped).toBe('it was stopped by hand');
    expect(run.sessions).toHaveLength(1);
    expect(run.sessions[0]?.state).toBe('stopped');
    expect(run.sessions[0]?.users).toContain('unfinished');
    expect(run.sessions[0]?.receipt).not.toBeNull();
    expect(ended).toEqual(['session-1']);
    expect(run.requests.items.length).toBeLessThan(12);
    expect(run.requests.items.every((row) => row.ok)).toBe(true);
  });

  it('at the end of its time does so too', async () => {
    const { url, ended } = await start({
      hold: (request) => (request > 3 ? new Promise(() => undefined) : Promise.resolve()),
    });
    const run = await runLoad(optionsFor(url, { runTimeoutMs: 250 }));
    expect(run.stopped).toMatch(/the whole run may take 250 ms/);
    expect(run.requests.items).toHaveLength(3);
    expect(ended).toEqual(['session-1']);
  });
});
