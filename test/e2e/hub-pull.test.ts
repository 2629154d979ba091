import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PageState } from '../../src/contract/events.js';
import type { Models, PullView } from '../../src/contract/models.js';
import { COMMIT, HubServer } from '../servers/hub.js';
import { EventReader } from './event-reader.js';
import {
  argumentsOf,
  childrenOf,
  classify,
  get,
  post,
  request,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import { filesOfModel } from './hub-files.js';
import { expectError } from './shapes.js';

const FILES = filesOfModel('control');
let hub: HubServer;
let slow: HubServer;

beforeAll(async () => {
  hub = await HubServer.start(FILES);
  // Its large file stops half way, and nothing more comes.
  slow = await HubServer.start(new Map([...FILES, ['onnx/model.onnx', randomBytes(400_000)]]));
  Object.assign(slow.faults, { stopsAfterBytes: 200_000 });
});

afterAll(async () => {
  await hub?.stop();
  await slow?.stop();
});

const environmentOf = async ({ endpoint }: HubServer) => ({
  ...{ HF_ENDPOINT: endpoint, HF_HOME: await temporaryFolder(), HF_HUB_OFFLINE: '' },
});

const pullsOf = (state: unknown) => (state as Pick<PageState, 'pulls'>).pulls;
const pullers = (pid: number) =>
  childrenOf(pid).filter((child) => argumentsOf(child).some((of) => of.endsWith('pull-main.js')));

test('a server that does not allow it refuses, and says how to allow it', async () => {
  const server = await startServer();
  const reply = await request(server, 'POST', '/v1/models/pull', { body: { model: 'org/name' } });
  expectError(reply, 'PULL_NOT_ALLOWED', /hub\.pull=true/);
  expect(reply.status).toBe(403);
  await server.stop();
});

test('a pull: shown on the way, served without a restart, and after one', async () => {
  const environment = await environmentOf(hub);
  const settings = { 'hub.pull': 'true' };
  const server = await startServer({ settings, environment });
  const page = await EventReader.open(server);
  const asked = await Promise.all(
    ['org/name', 'org/name', 'org/name@main'].map((model) =>
      post<PullView>(server, '/v1/models/pull', { model }),
    ),
  );
  // The same one joins.
  expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
  const { id } = asked[0] as PullView;
  await until('it is done', async () => {
    const { state, reason } = await get<PullView>(server, `/v1/pulls/${id}`);
    expect(reason).toBeNull();
    return state === 'done';
  });
  const shown = await page.waitFor('state', (state) => pullsOf(state)[0]?.state === 'done');
  page.close();
  const [last] = pullsOf(shown);
  expect(last).toMatchObject({ commit: COMMIT, files_done: last?.files_total });
  const { model, results } = await classify(server, 'a text', { model: 'org/name' });
  expect(model).toBe('org/name');
  // The model that answers when none is named is the same as before.
  expect((await classify(server, 'a text')).model).toBe('spam');
  await server.stop();

  const again = await startServer({ settings, data: server.data, environment });
  const after = await classify(again, 'a text', { model: 'org/name' });
  expect(after.results).toEqual(results);
  await again.stop();
  // Where it is no longer allowed, it is no longer served.
  const without = await startServer({ data: server.data, environment });
  const { models } = await get<Models>(without, '/v1/models');
  expect(models.map((each) => each.id)).toEqual(['spam']);
  await without.stop();
}, 60_000);

test('cancelled: its process goes, and what it fetched is there for the next; more than the bound are refused', async () => {
  const settings = { 'hub.pull': 'true', 'hub.max_pulls': 1, 'hub.max_waiting': 1 };
  const server = await startServer({ settings, environment: await environmentOf(slow) });
  const pull = (model: string) =>
    request<PullView>(server, 'POST', '/v1/models/pull', { body: { model } });
  const first = await pull('org/name');
  const second = await pull('org/other');
  expect(second.body.state).toBe('waiting');
  expectError(await pull('org/third'), 'TOO_MANY_PULLS', /hub\.max_waiting/);
  await until('half is there', async () => {
    const { done_mb: done } = await get<PullView>(server, `/v1/pulls/${first.body.id}`);
    return done > 0.15;
  });
  expect(pullers(server.pid)).toHaveLength(1);
  const cancel = (id: string) => request<PullView>(server, 'DELETE', `/v1/pulls/${id}`);
  expect((await cancel(second.body.id)).body.state).toBe('cancelled');
  expect((await cancel(first.body.id)).body.state).toBe('cancelled');
  expect(pullers(server.pid)).toEqual([]);
  // A stop of the server ends one as well.
  delete slow.faults.stopsAfterBytes;
  const last = await pull('org/name');
  await until('it has ended', async () => {
    const { state } = await get<PullView>(server, `/v1/pulls/${last.body.id}`);
    return state === 'failed';
  });
  const { reason } = await get<PullView>(server, `/v1/pulls/${last.body.id}`);
  expect(reason).toMatch(/it was fetched, and cannot be served/);
  const ranges = slow.requestsFor('blob/onnx/model.onnx').map(({ range }) => range);
  expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
  expect(await server.stop()).toEqual({ code: 0, signal: null });
}, 60_000);
