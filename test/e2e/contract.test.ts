import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobView } from '../../src/contract/jobs.js';
import type { Proofs } from '../../src/contract/proofs.js';
import type { Readings } from '../../src/contract/state/memory.js';
import type { Workers } from '../../src/contract/state/workers.js';
import { HubServer } from '../servers/hub.js';
import { PostgresqlServer } from '../servers/postgresql.js';
import { RedisServer } from '../servers/redis.js';
import { postgresql, redis } from '../servers/tools.js';
import {
  expectDescribed,
  expectToFit,
  type OpenApi,
  type Operation,
  operationsOf,
} from './contract-document.js';
import { EventReader } from './event-reader.js';
import {
  type Call,
  classify,
  endSession,
  get,
  openSession,
  post,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
  workerPids,
} from './harness.js';
import { filesOfModel } from './hub-files.js';

/** One request and the status that it must get. */
interface Asked extends Call {
  readonly status: number;
  /** What stands in the address for `{id}`. */
  readonly id?: string;
  readonly query?: string;
}

/** What the server knows when it is asked. */
interface Known {
  readonly open: string;
  readonly ended: string;
  readonly worker: string;
  readonly proof: string;
  readonly pull: string;
  readonly job: string;
}

const OK: Asked = { status: 200 };
const NOBODY: Asked = { status: 404, id: 'nobody' };
const json = (status: number, body: unknown): Asked => ({ status, body });
const query = (status: number, text: string): Asked => ({ status, query: text });

/** Requests of every operation. A new route without a line here fails the test. */
const REQUESTS: Readonly<Record<string, (known: Known) => readonly Asked[]>> = {
  'POST /v1/classify': ({ open, ended }) => [
    json(200, { inputs: 'Claim your prize now' }),
    json(200, { inputs: ['Claim your prize now', 'see you at noon'], model: 'spam', top_k: 1 }),
    json(200, { inputs: 'hello', session: open, user: 'ann' }),
    json(400, {}),
    json(422, { inputs: '' }),
    { status: 400, raw: '{' },
    json(404, { inputs: 'a', model: 'nobody' }),
    json(404, { inputs: 'a', session: 'nobody' }),
    json(409, { inputs: 'a', session: ended }),
    { status: 413, raw: `"${'a'.repeat(70_000)}"` },
    { status: 415, raw: 'a', headers: { 'content-type': 'text/plain' } },
  ],
  'POST /v1/zero-shot-classification': () => [
    json(400, {}),
    json(422, { inputs: 'a', candidate_labels: ['b'] }),
  ],
  'POST /v1/reranking': () => [json(400, {}), json(422, { query: 'a', documents: ['b'] })],
  'POST /v1/token-classification': () => [json(400, {}), json(422, { inputs: 'a' })],
  'POST /v1/sessions': () => [json(201, { max_users: 3 }), json(400, { max_users: 0 })],
  'GET /v1/sessions': () => [OK, query(200, 'limit=1'), query(400, 'limit=0')],
  'GET /v1/sessions/{id}': ({ open, ended }) => [
    { status: 200, id: open },
    { status: 200, id: ended },
    { status: 400, id: 's'.repeat(101) },
    NOBODY,
  ],
  'POST /v1/sessions/{id}/end': ({ open }) => [{ status: 200, id: open }, NOBODY],
  'GET /v1/sessions/{id}/users': ({ open }) => [{ status: 200, id: open }, NOBODY],
  'GET /v1/receipts': ({ ended }) => [
    query(200, `kind=cleanup&session=${ended}`),
    query(200, 'kind=unload'),
    query(400, 'since=yesterday'),
  ],
  'GET /v1/records': () => [OK, query(200, 'user=ann&limit=1'), query(400, 'colour=red')],
  'GET /v1/events/past': () => [OK, query(400, 'until=tomorrow')],
  'GET /v1/memory': () => [OK],
  'GET /v1/memory/readings': () => [OK, query(400, 'since=5')],
  'GET /v1/memory/processes': () => [OK, query(400, 'since=5')],
  'POST /v1/memory/cleanup': () => [OK],
  'POST /v1/memory/recycle': () => [OK],
  'GET /v1/models': () => [OK],
  'GET /v1/models/{id}': () => [{ status: 200, id: 'spam' }, NOBODY],
  'POST /v1/models/pull': () => [
    json(202, { model: 'org/name' }),
    json(400, { model: '../x' }),
    json(400, {}),
    json(409, { model: 'spam' }),
  ],
  'GET /v1/pulls': () => [OK],
  'GET /v1/pulls/{id}': ({ pull }) => [{ status: 200, id: pull }, NOBODY],
  'DELETE /v1/pulls/{id}': ({ pull }) => [{ status: 200, id: pull }, NOBODY],
  'POST /v1/tokenize': () => [
    { status: 200, body: { model: 'spam', inputs: ['a text', 'and another'] } },
    { status: 404, body: { model: 'nobody', inputs: 'a text' } },
    { status: 400, body: { model: 'spam' } },
  ],
  'POST /v1/models/{id}/load': () => [{ status: 200, id: 'spam' }, NOBODY],
  'POST /v1/models/{id}/unload': () => [{ status: 200, id: 'spam' }, NOBODY],
  'GET /v1/pools': () => [OK],
  'GET /v1/fleet': () => [OK],
  'GET /v1/config': () => [OK],
  'GET /v1/workers': () => [OK],
  'POST /v1/workers/{id}/recycle': ({ worker }) => [{ status: 200, id: worker }, NOBODY],
  'GET /v1/events': () => [],
  'POST /v1/jobs': () => [
    json(400, {}),
    json(400, { input: '/etc/hosts', output: '/tmp' }),
    json(404, { input: '/etc/hosts', output: '/tmp', model: 'nobody' }),
  ],
  'GET /v1/jobs': () => [OK, query(200, 'state=done&limit=1'), query(400, 'state=odd')],
  'GET /v1/jobs/{id}': ({ job }) => [{ status: 200, id: job }, NOBODY],
  'GET /v1/jobs/{id}/shards': ({ job }) => [
    { status: 200, id: job },
    { status: 200, id: job, query: 'state=done&from=0' },
    { status: 400, id: job, query: 'from=a' },
    NOBODY,
  ],
  // Its stream, to the end, is read by the test of bulk jobs.
  'GET /v1/jobs/{id}/events': () => [NOBODY],
  'POST /v1/jobs/{id}/cancel': ({ job }) => [{ status: 409, id: job }, NOBODY],
  'POST /v1/jobs/{id}/retry': ({ job }) => [{ status: 409, id: job }, NOBODY],
  'GET /v1/cache': () => [OK],
  'DELETE /v1/cache': () => [query(200, 'tier=memory'), OK, query(400, 'tier=disk')],
  'GET /v1/proofs': () => [OK],
  'POST /v1/proofs': () => [json(400, { profile: 'x' })],
  'GET /v1/proofs/{id}/report': ({ proof }) => [{ status: 200, id: proof }, NOBODY],
  'GET /health/live': () => [OK],
  'GET /health/ready': () => [OK],
  'GET /metrics': () => [OK],
};

/** Other protocols' routes are asked by the tests of their doors, those of keys by the tests of keys. */
function isOwn([, { tags = [] }]: readonly [string, Operation]): boolean {
  return !tags.some((tag) => OTHERS.has(tag));
}

const OTHERS = new Set([
  ...['TEI', 'vLLM and Cohere', 'OpenAI', 'Hugging Face', 'open inference'],
  'keys',
]);
/** Probes ask by address, so these answer whatever name they are asked by. */
const BY_ANY_NAME = new Set(['GET /health/live', 'GET /health/ready', 'GET /metrics']);

/** Every other route refuses these, whatever it does: a name that the server does not have. */
const REFUSED: Asked = { status: 421, headers: { host: 'elsewhere.example' } };

let server: Server;
let document: OpenApi;
let operations: ReadonlyMap<string, Operation>;
let store: RedisServer | undefined;
let database: PostgresqlServer | undefined;
let hub: HubServer;
let jobFolder: string;

const operation = (name: string): Operation => {
  const found = operations.get(name);
  if (found === undefined) throw new Error(`${name} is not in /openapi.json`);
  return found;
};

/** Sends the request, and checks its body and the reply's against the description. */
async function ask(name: string, { status, id, query: text, ...call }: Asked): Promise<unknown> {
  const [method = '', path = ''] = name.split(' ');
  const address = `${path.replace('{id}', id ?? '')}${text === undefined ? '' : `?${text}`}`;
  const reply = await request(server, method, address, call);
  const what = `${method} ${address.slice(0, 200)}`;
  expect(reply.status, `${what}: ${reply.text}`).toBe(status);
  const { requestBody } = operation(name);
  const schema = requestBody?.content['application/json']?.schema;
  if (status < 300 && schema !== undefined) expectToFit(call.body ?? null, schema, what);
  expectDescribed(operation(name), reply, what);
  return reply.body;
}

/** Whether a reply is a list without items, which would say nothing of its items' shape. */
function isEmptyList(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  const lists = Object.values(body).filter((value) => Array.isArray(value));
  return lists.length > 0 && lists.some((list) => list.length === 0);
}

async function settings() {
  store = redis === undefined ? undefined : await RedisServer.start(redis);
  database = postgresql === undefined ? undefined : await PostgresqlServer.start(postgresql);
  return {
    'worker.count': 1,
    'hub.pull': 'true',
    'http.body_limit': 65_536,
    'records.keep_text': 'true',
    'cache.secret': 'a secret of this test',
    'database.retry_ms': 100,
    'jobs.folders': jobFolder,
    ...(store === undefined ? {} : { 'redis.url': store.url(), 'redis.lookup_budget_ms': 2000 }),
    ...(database === undefined ? {} : { 'database.url': database.url() }),
  };
}

/** Plays a proof, as only that has a report. @returns its id */
async function playProof(): Promise<string> {
  const { id } = (await ask('POST /v1/proofs', json(202, {}))) as { readonly id: string };
  await ask('POST /v1/proofs', { status: 409 });
  await until(
    'the proof has ended',
    async () => (await get<Proofs>(server, '/v1/proofs')).proofs[0]?.state !== 'running',
    100_000,
  );
  return id;
}

/** Runs a bulk job. @returns its id */
async function runJob(): Promise<string> {
  const input = path.join(jobFolder, 'mails.jsonl');
  writeFileSync(input, '{"text": "Claim your prize now"}\n');
  const body = { input, output: path.join(jobFolder, 'out') };
  const { id } = (await ask('POST /v1/jobs', json(202, body))) as { readonly id: string };
  await until('the job is done', async () => {
    const job = await get<JobView>(server, `/v1/jobs/${id}`);
    return job.state === 'done';
  });
  return id;
}

beforeAll(async () => {
  jobFolder = await temporaryFolder();
  hub = await HubServer.start(filesOfModel('control'));
  const environment = { HF_ENDPOINT: hub.endpoint, HF_HOME: await temporaryFolder() };
  const of = { settings: await settings(), environment };
  // What this one keeps is of an earlier run to the next: minutes of readings, and a session.
  const first = await startServer(of);
  await classify(first, 'the first text prepares the model');
  await until(
    'memory was read',
    async () => (await get<Readings>(first, '/v1/memory/readings')).seconds.length > 0,
  );
  await first.stop();
  server = await startServer({ ...of, data: first.data });
  document = await get<OpenApi>(server, '/openapi.json');
  operations = new Map([...operationsOf(document)].filter(isOwn));
});

afterAll(async () => {
  await server?.stop();
  await store?.stop();
  await database?.stop();
  await hub?.stop();
});

describe('every reply is as /openapi.json describes it', () => {
  test('every route is asked here', () => {
    expect([...operations.keys()].sort()).toEqual(Object.keys(REQUESTS).sort());
  });

  test('what succeeds, and what the caller got wrong', async () => {
    // First, as sessions that idle meanwhile would end.
    const proof = await playProof();
    const { id: open } = await openSession(server);
    await classify(server, 'hello', { session: open, user: 'ann' });
    const { id: ended } = await openSession(server);
    await endSession(server, ended);
    await post(server, '/v1/models/spam/load');
    await post(server, '/v1/models/spam/unload');
    const { id: pull } = (await ask('POST /v1/models/pull', json(202, { model: 'org/name' }))) as {
      readonly id: string;
    };
    const job = await runJob();
    for (const name of operations.keys()) {
      const worker = (await get<Workers>(server, '/v1/workers')).workers[0]?.id ?? '';
      const hollow: boolean[] = [];
      for (const asked of REQUESTS[name]?.({ open, ended, worker, proof, pull, job }) ?? []) {
        const body = await ask(name, asked);
        if (asked.status < 300) hollow.push(isEmptyList(body));
      }
      // Without another server there is no pool; the bundled model has no other names.
      const isAlone = store === undefined && database === undefined;
      const mayBeHollow =
        (name === 'GET /v1/pools' && isAlone) ||
        // Nothing is to be noted of a fleet that hears itself.
        name === 'GET /v1/fleet' ||
        // No shard of the job has failed, and none runs.
        name === 'GET /v1/jobs/{id}' ||
        name === 'GET /v1/models/{id}';
      if (hollow.length > 0 && !mayBeHollow) expect(hollow, name).toContain(false);
    }
  }, 240_000);

  test('what no route takes', async () => {
    for (const name of operations.keys()) {
      if (!BY_ANY_NAME.has(name)) await ask(name, { ...REFUSED, id: 'x' });
    }
  });

  test('the stream of events: each state and each mark', async () => {
    const page = await EventReader.open(server);
    const { status, headers } = page;
    const events = operation('GET /v1/events');
    expectDescribed(events, { status, headers, body: '' }, 'GET /v1/events');
    const { id } = await openSession(server);
    await classify(server, 'a text that loads the model', { session: id });
    const state = await page.waitFor('state', ({ sessions }) => !isEmptyList({ sessions }));
    await endSession(server, id);
    await page.waitFor('mark', ({ kind }) => kind === 'session_ended');
    await post(server, '/v1/memory/recycle');
    await page.waitFor('mark', ({ kind }) => kind === 'worker_recycled');
    page.close();
    expect(isEmptyList(state)).toBe(store === undefined && database === undefined);
    const { PageState, Mark } = document.components.schemas;
    if (PageState === undefined || Mark === undefined) throw new Error('they are not described');
    for (const { event, data } of page.events) {
      expectToFit(data, event === 'state' ? PageState : Mark, event);
    }
    await ask('GET /v1/events', { status: 403, headers: { origin: 'https://elsewhere.example' } });
  });

  test('what the server cannot do now', async () => {
    const [worker = 0] = await workerPids(server);
    process.kill(worker, 'SIGKILL');
    await until('no worker is ready', async () => {
      const reply = await request(server, 'GET', '/health/ready');
      expectDescribed(operation('GET /health/ready'), reply, 'GET /health/ready');
      return reply.status === 503;
    });
    await store?.kill();
    await database?.kill();
    const away = store !== undefined || database !== undefined;
    await until('the server is ready, without the others', async () => {
      const reply = await request<{ status: string }>(server, 'GET', '/health/ready');
      expectDescribed(operation('GET /health/ready'), reply, 'GET /health/ready');
      return reply.body.status === (away ? 'degraded' : 'ready');
    });
    if (database !== undefined) {
      for (const name of ['GET /v1/records', 'GET /v1/receipts', 'GET /v1/events/past']) {
        await ask(name, { status: 503 });
      }
    }
    if (store !== undefined) await ask('DELETE /v1/cache', { status: 503 });
    await ask('GET /v1/cache', OK);
    await ask('POST /v1/classify', json(200, { inputs: 'still there?' }));
  });
});
