import { cp, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  classify,
  endSession,
  openSession,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import { expectError } from './shapes.js';
import { SPAM, textNumber } from './texts.js';

let server: Server;
const send = (body: unknown) => request(server, 'POST', '/v1/classify', { body });
const sendRaw = (raw: string | Buffer, headers: http.OutgoingHttpHeaders = {}) =>
  request(server, 'POST', '/v1/classify', { raw, headers });

beforeAll(async () => {
  server = await startServer({ settings: { 'http.body_limit': 65_536 } });
  await classify(server, 'the first text prepares the model');
});

describe('what the caller got wrong', () => {
  test('MALFORMED_JSON: the body is not JSON', async () => {
    for (const raw of ['{', '{"inputs": "a",}', 'hello', "{'inputs': 'a'}", '\u0000', '{"a":1}x']) {
      expectError(await sendRaw(raw), 'MALFORMED_JSON');
    }
  });

  test('INVALID_REQUEST: it names the field', async () => {
    const wrong: [unknown, RegExp][] = [
      [{}, /inputs/],
      [{ inputs: 'a', model: 5 }, /model/],
      [{ inputs: 'a', model: '' }, /model/],
      [{ inputs: 'a', top_k: 0 }, /top_k/],
      [{ inputs: 'a', top_k: 1.5 }, /top_k/],
      [{ inputs: 'a', top_k: '3' }, /top_k/],
      [{ inputs: 'a', top_k: 1e300 }, /top_k/],
      [{ inputs: 'a', session: {} }, /session/],
      [{ inputs: 'a', user: null }, /user/],
      [{ inputs: 'a', user: 'u'.repeat(129) }, /user/],
      [{ inputs: 'a', colour: 'red' }, /colour/],
      [{ input: 'a' }, /inputs?/],
    ];
    for (const [body, field] of wrong) expectError(await send(body), 'INVALID_REQUEST', field);
    for (const body of [null, [], 'text', 5, true]) {
      expectError(await send(body), 'INVALID_REQUEST', /body/);
    }
    expectError(await sendRaw(''), 'INVALID_REQUEST', /body/);
    for (const body of [{ max_users: 0 }, { max_users: 'x' }, { max_users: 10_001 }]) {
      const reply = await request(server, 'POST', '/v1/sessions', { body });
      expectError(reply, 'INVALID_REQUEST', /max_users/);
    }
  });

  test('INVALID_REQUEST: prototype keys are fields like any other, or refused', async () => {
    for (const raw of [
      '{"inputs":"a","__proto__":{"model":"x"}}',
      '{"inputs":"a","constructor":{"prototype":{"x":1}}}',
    ]) {
      const reply = await sendRaw(raw);
      expect(reply.status).toBe(400);
      expect(reply.body).toMatchObject({ error: { retryable: false } });
    }
  });

  test('INVALID_INPUT: empty, not a text, too many; it says which', async () => {
    const wrong: [unknown, RegExp][] = [
      ['', /inputs is empty/],
      [' \n\t', /inputs is empty/],
      [[], /empty list/],
      [['a', ''], /inputs\[1\]/],
      [['a', 'b', 7], /inputs\[2\] is a number/],
      [[null], /inputs\[0\] is null/],
      [[['a']], /inputs\[0\] is a list/],
      [5, /a number/],
      [null, /null/],
      [{ text: 'a' }, /an object/],
      [{ text: '', text_pair: ' ' }, /inputs is a pair of empty texts/],
      [[{ text: 'a', text_pair: '' }, ''], /inputs\[1\] is empty/],
      [['a', { text: ' ', text_pair: '' }], /inputs\[1\] is a pair of empty texts/],
      [Array.from({ length: 1025 }, () => 'a'), /1025 .* 1024/],
    ];
    for (const [inputs, what] of wrong) expectError(await send({ inputs }), 'INVALID_INPUT', what);
  });

  test('NOT_FOUND, MODEL_NOT_FOUND, SESSION_NOT_FOUND', async () => {
    expectError(await request(server, 'GET', '/v1/nothing'), 'NOT_FOUND', /\/v1\/nothing/);
    expectError(await request(server, 'DELETE', '/v1/classify'), 'METHOD_NOT_ALLOWED', /POST/);
    expectError(await request(server, 'GET', '/%zz'), 'INVALID_REQUEST', /%zz/);
    expectError(
      await request(server, 'GET', `/v1/sessions/${'s'.repeat(500)}`),
      'INVALID_REQUEST',
      /id/,
    );
    const unknown = { inputs: 'a', model: 'nobody' };
    expectError(await send(unknown), 'MODEL_NOT_FOUND', /nobody.*spam/);
    expectError(await send({ inputs: 'a', session: 's_x' }), 'SESSION_NOT_FOUND', /s_x/);
  });

  test('SESSION_ENDED', async () => {
    const { id } = await openSession(server);
    await endSession(server, id);
    expectError(await send({ inputs: 'a', session: id }), 'SESSION_ENDED');
  });

  test('BODY_TOO_LARGE and UNSUPPORTED_MEDIA_TYPE', async () => {
    expectError(await send({ inputs: 'a'.repeat(70_000) }), 'BODY_TOO_LARGE');
    const chunked = { 'transfer-encoding': 'chunked' };
    expectError(await sendRaw(`"${'a'.repeat(70_000)}"`, chunked), 'BODY_TOO_LARGE');
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', '?']) {
      const reply = await sendRaw('{"inputs":"a"}', { 'content-type': type });
      expectError(reply, 'UNSUPPORTED_MEDIA_TYPE', /application\/json/);
    }
    const charset = { 'content-type': 'application/json; charset=utf-8' };
    expect((await sendRaw('{"inputs":"a"}', charset)).status).toBe(200);
  });
});

describe('what the server cannot take now', () => {
  test('QUEUE_FULL comes with Retry-After', async () => {
    const own = await startServer({
      data: server.data,
      settings: { 'queue.max_inputs': 1, 'worker.count': 1 },
    });
    const bodies = Array.from({ length: 20 }, (_, index) => ({ inputs: textNumber(index, 100) }));
    const replies = await Promise.all(
      bodies.map((body) => request(own, 'POST', '/v1/classify', { body })),
    );
    const refused = replies.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(replies.length);
    for (const reply of refused) {
      expectError(reply, 'QUEUE_FULL', /queue\.max_inputs/);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    }
    expect((await classify(own, 'one')).results).toHaveLength(1);
    const never = await request(own, 'POST', '/v1/classify', {
      body: { inputs: ['two', 'three'] },
    });
    expectError(never, 'INVALID_INPUT', /queue\.max_inputs/);
    await own.stop();
  });

  test('DEADLINE_EXCEEDED, and the next request is served', async () => {
    // One worker alone is known to be late at once, and then the request is refused.
    const settings = { 'request.deadline_ms': 10, 'worker.count': 2 };
    const own = await startServer({ data: server.data, settings });
    const inputs = Array.from({ length: 200 }, (_, index) => textNumber(index, 100));
    const late = await request(own, 'POST', '/v1/classify', { body: { inputs } });
    expectError(late, 'DEADLINE_EXCEEDED', /10 ms/);
    await until('what is left of it has gone and a short one is in time', async () => {
      const { status } = await request(own, 'POST', '/v1/classify', { body: { inputs: 'hello' } });
      return status === 200;
    });
    await own.stop();
  });

  test('TOO_MANY_SESSIONS comes with Retry-After', async () => {
    const own = await startServer({ data: server.data, settings: { 'session.max_open': 2 } });
    const { id } = await openSession(own);
    await openSession(own);
    const third = await request(own, 'POST', '/v1/sessions');
    expectError(third, 'TOO_MANY_SESSIONS', /session\.max_open/);
    expect(Number(third.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    const ambient = await request(own, 'POST', '/v1/classify', { body: { inputs: 'a' } });
    expectError(ambient, 'TOO_MANY_SESSIONS');
    await endSession(own, id);
    await openSession(own);
    await own.stop();
  });

  test('MODEL_UNUSABLE says why, and the others are served', async () => {
    const models = await temporaryFolder();
    await cp(SPAM, path.join(models, 'good'), { recursive: true, dereference: true });
    await cp(SPAM, path.join(models, 'bad'), { recursive: true, dereference: true });
    await writeFile(path.join(models, 'bad', 'onnx', 'model.onnx'), 'no graph at all');
    const own = await startServer({ models });
    const body = { inputs: 'a', model: 'bad' };
    expectError(await request(own, 'POST', '/v1/classify', { body }), 'MODEL_UNUSABLE', /graph/);
    expectError(await request(own, 'POST', '/v1/models/bad/load'), 'MODEL_UNUSABLE', /graph/);
    // The only one that can be served needs no name.
    expect((await classify(own, 'a')).model).toBe('good');
    expect((await classify(own, 'b', { model: 'good' })).model).toBe('good');
    await own.stop();
  });

  test('a caller who leaves does not stop the others', async () => {
    const slow = JSON.stringify({
      inputs: Array.from({ length: 64 }, (_, index) => textNumber(9000 + index, 80)),
    });
    const { hostname, port } = new URL(server.url);
    const left = http.request({ hostname, port, method: 'POST', path: '/v1/classify' });
    left.setHeader('content-type', 'application/json');
    left.on('error', () => undefined);
    left.end(slow);
    await until('it waits', async () => {
      const { text } = await request(server, 'GET', '/metrics');
      return /^plimsoll_inputs_waiting [1-9]/m.test(text);
    });
    left.destroy();
    expect((await classify(server, 'still there?')).results).toHaveLength(1);
    await until('its inputs have left the queue', async () => {
      const { text } = await request(server, 'GET', '/metrics');
      return /^plimsoll_inputs_waiting 0$/m.test(text);
    });
  });
});
