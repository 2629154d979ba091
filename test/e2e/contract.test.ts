/** Asks a real server for every route of /openapi.json, and holds each reply, errors too, against it. */
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobView } from '../../src/contract/jobs.js';
import type { Proofs } from '../../src/contract/proofs.js';
import type { Readings } from '../../src/contract/state/memory.js';
import type { Workers } from '../../src/contract/state/workers.js';
import { OPEN_WORDS } from '../../src/settings/areas/http.js';
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
import { DOOR_REQUESTS, RANKING_REQUESTS } from './contract-door-requests.js';
import { type Asked, json, OK, OWN_REQUESTS, type Requests } from './contract-own-requests.js';
import { EventReader } from './event-reader.js';
import {
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
import { copyForm, copyModel } from './model-folders.js';
import { REFERENCE } from './reference.js';
import { writeForms } from './reference-forms.js';

/** Every route but those for probes, which ask by address, refuses a name that the server does not have. */
const ELSEWHERE: Asked = { status: 421, headers: { host: 'elsewhere.example' } };
const PROBES = /^GET \/(metrics$|(v2\/|tei\/)?health|(tei|v2\/models)\/\{)/;

const REQUESTS: Requests = { ...OWN_REQUESTS, ...DOOR_REQUESTS };
/** Folders of the reference models that answer, by the names under which they are served. */
const MODELS = {
  nli: 'zs-bert',
  ner: 'ner-bert',
  reranker: 'rerank-bert',
  'org/pairs': 'pair-bert',
};
const MODERATIONS = '{"moderations": {"spam": {"categories": ["illicit"], "from": 0.5}}}';

let server: Server;
let document: OpenApi;
let operations: ReadonlyMap<string, Operation>;
const succeeded = new Set<string>();
const refused = new Set<string>();
let store: RedisServer | undefined;
let database: PostgresqlServer | undefined;
let hub: HubServer;
let jobFolder: string;

const operation = (name: string): Operation => {
  const found = operations.get(name);
  if (found === undefined) throw new Error(`${name} is not in /openapi.json`);
  return found;
};

/** Checks the reply against the description, and notes that the route has succeeded, or refused. */
function check(name: string, reply: Parameters<typeof expectDescribed>[1], what = name): void {
  expectDescribed(operation(name), reply, what);
  (reply.status < 300 ? succeeded : refused).add(name);
}

/** Sends the request, and checks its body and the reply's against the description. */
async function ask(
  name: string,
  { status, id, query: text, ...call }: Asked,
  of: Server = server,
): Promise<unknown> {
  const [method = '', path = ''] = name.split(' ');
  const address = `${path.replace(/\{\w+\}/, id ?? '')}${text === undefined ? '' : `?${text}`}`;
  const reply = await request(of, method, address, call);
  const what = `${method} ${address.slice(0, 200)}`;
  expect(reply.status, `${what}: ${reply.text}`).toBe(status);
  const { requestBody } = operation(name);
  const schema = requestBody?.content['application/json']?.schema;
  if (status < 300 && schema !== undefined && call.raw === undefined) {
    expectToFit(call.body ?? null, schema, what);
  }
  check(name, reply, what);
  const jsonBytes = reply.headers['inference-header-content-length'];
  if (jsonBytes === undefined) return reply.body;
  // The JSON before the bytes is described as the one without them.
  return checkJson(name, reply.text.slice(0, Number(jsonBytes)));
}

/** Checks JSON that came in another way against what the route says of its success. */
function checkJson(name: string, json: string): unknown {
  const body: unknown = JSON.parse(json);
  check(name, { status: 200, headers: { 'content-type': 'application/json' }, body });
  return body;
}

/** Whether a reply is a list without items, which would say nothing of its items' shape. */
function isEmptyList(body: unknown): boolean {
  if (Array.isArray(body)) return body.length === 0;
  if (typeof body !== 'object' || body === null) return false;
  const lists = Object.values(body).filter((value) => Array.isArray(value));
  return lists.length > 0 && lists.some((list) => list.length === 0);
}

async function settings() {
  store = redis === undefined ? undefined : await RedisServer.start(redis);
  database = postgresql === undefined ? undefined : await PostgresqlServer.start(postgresql);
  return {
    'worker.count': 1,
    // Keys are made here, and nobody needs one.
    'http.open': OPEN_WORDS,
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

/** Starts a bulk job of so many rows. @returns its id */
async function startJob(rows: number): Promise<string> {
  const input = path.join(jobFolder, `${rows}.jsonl`);
  const row = (index: number) => JSON.stringify({ text: `Claim your prize ${index} now` });
  writeFileSync(input, Array.from({ length: rows }, (_, index) => row(index)).join('\n'));
  const body = { input, output: path.join(jobFolder, `out-${rows}`) };
  const { id } = (await ask('POST /v1/jobs', json(202, body))) as { readonly id: string };
  return id;
}

async function jobToBe(state: JobView['state'], id: string): Promise<void> {
  await until(
    `the job is ${state}`,
    async () => (await get<JobView>(server, `/v1/jobs/${id}`)).state === state,
  );
}

/** Runs a bulk job, and cancels another one, twice. @returns the id of that which is done */
async function runJobs(): Promise<string> {
  const done = await startJob(1);
  await jobToBe('done', done);
  // Of a job that has ended the stream ends too.
  const stream = await ask('GET /v1/jobs/{id}/events', { status: 200, id: done });
  const [, event = ''] = /^event: job\ndata: (.*)$/m.exec(String(stream)) ?? [];
  checkJson('GET /v1/jobs/{id}', event);
  const long = await startJob(20_000);
  await ask('POST /v1/jobs/{id}/cancel', { status: 200, id: long });
  await jobToBe('cancelled', long);
  await ask('POST /v1/jobs/{id}/retry', { status: 200, id: long });
  await ask('POST /v1/jobs/{id}/cancel', { status: 200, id: long });
  await jobToBe('cancelled', long);
  return done;
}

/** The folder of models that the server is started with, and its data folder with their forms. */
async function copyModels() {
  const models = await temporaryFolder();
  const data = path.join(await temporaryFolder(), 'data');
  for (const [name, folder] of Object.entries(MODELS)) {
    cpSync(path.join(REFERENCE, folder), path.join(models, name), { recursive: true });
  }
  await writeForms(models, data);
  await copyModel(models, 'spam');
  await copyForm(data, 'spam');
  writeFileSync(path.join(models, 'spam/plimsoll.json'), MODERATIONS);
  cpSync(path.join(REFERENCE, 'bad-architecture'), path.join(models, 'broken'), {
    recursive: true,
  });
  return { models, data };
}

beforeAll(async () => {
  jobFolder = await temporaryFolder();
  hub = await HubServer.start(filesOfModel('control'));
  const environment = { HF_ENDPOINT: hub.endpoint, HF_HOME: await temporaryFolder() };
  const of = { ...(await copyModels()), settings: await settings(), environment };
  // What this one keeps is of an earlier run to the next: minutes of readings, and a session.
  const first = await startServer(of);
  await classify(first, 'the first text prepares the model');
  await until(
    'memory was read',
    async () => (await get<Readings>(first, '/v1/memory/readings')).seconds.length > 0,
  );
  await first.stop();
  server = await startServer(of);
  document = await get<OpenApi>(server, '/openapi.json');
  operations = operationsOf(document);
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
    const job = await runJobs();
    for (const name of Object.keys(REQUESTS)) {
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
      // In TEI's form what is invalid is a 422.
      const status = operation(name).tags?.[0] === 'TEI' ? 422 : 400;
      await ask(name, { status, withoutHost: true, id: 'x' });
      if (!PROBES.test(name)) await ask(name, { ...ELSEWHERE, id: 'x' });
    }
  });

  test('a default model that ranks', async () => {
    const models = await temporaryFolder();
    cpSync(path.join(REFERENCE, MODELS.reranker), path.join(models, 'reranker'), {
      recursive: true,
    });
    const ranking = await startServer({ models });
    for (const [name, requests] of Object.entries(RANKING_REQUESTS)) {
      for (const asked of requests) await ask(name, asked, ranking);
    }
    await ranking.stop();
  });

  test('the stream of events: each state and each mark', async () => {
    const page = await EventReader.open(server);
    const { status, headers } = page;
    check('GET /v1/events', { status, headers, body: '' });
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
      check('GET /health/ready', reply);
      return reply.status === 503;
    });
    await store?.kill();
    await database?.kill();
    const away = store !== undefined || database !== undefined;
    await until('the server is ready, without the others', async () => {
      const reply = await request<{ status: string }>(server, 'GET', '/health/ready');
      check('GET /health/ready', reply);
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

  test('every route has succeeded here, and refused', () => {
    const all = [...operations.keys()];
    expect(all.filter((name) => !succeeded.has(name))).toEqual([]);
    expect(all.filter((name) => !refused.has(name))).toEqual([]);
  });
});
