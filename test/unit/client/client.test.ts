import fastify from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PlimsollClient, PlimsollClientError } from '../../../src/client/client.js';

const app = fastify();
app.post('/v1/classify', async ({ headers, body }) => ({ headers, body }));
app.get('/v1/models/*', async ({ url }) => ({ url }));
app.get('/below/v1/models/*', async ({ url }) => ({ url }));
app.post('/v1/memory/recycle', async (_request, reply) =>
  reply
    .code(503)
    .header('retry-after', '7')
    .send({ error: { code: 'SHUTTING_DOWN', message: 'the server is stopping', retryable: true } }),
);
app.post('/v1/memory/cleanup', async (_request, reply) =>
  reply.code(500).send({ error: { code: 7, message: ['no'], retryable: 'yes' } }),
);
app.get('/v1/models', async (_request, reply) =>
  reply
    .code(503)
    .header('retry-after', new Date(Date.now() + 90_000).toUTCString())
    .send('busy'),
);
app.get('/v1/memory', async (_request, reply) => reply.code(502).type('text/html').send('<p>no'));
let url: string;
beforeAll(async () => {
  url = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => app.close());

test('sends the key, the user and the session with every request', async () => {
  const client = new PlimsollClient({
    url,
    key: 'k',
    user: 'ada',
    session: 's',
    timeoutMs: 10_000,
  });
  expect(await client.classify({ inputs: 'a' })).toMatchObject({
    headers: { authorization: 'Bearer k', 'x-plimsoll-user': 'ada', 'x-plimsoll-session': 's' },
    body: { inputs: 'a' },
  });
});

test('sends a user and a session in any script, in the bytes of UTF-8', async () => {
  for (const name of ['Zoë', 'Łukasz', '王小明', 'Ада', '🚢 crew']) {
    const client = new PlimsollClient({ url, user: name, session: name });
    const { headers } = (await client.classify({ inputs: 'a' })) as unknown as {
      readonly headers: Readonly<Record<string, string>>;
    };
    for (const header of ['x-plimsoll-user', 'x-plimsoll-session']) {
      expect(Buffer.from(headers[header] ?? '', 'latin1').toString('utf8')).toBe(name);
    }
  }
});

test.each(['/below', '/below/', '/below//', '/below?x=1#y'])(
  'asks below the path of its URL: %s',
  async (path) => {
    const client = new PlimsollClient({ url: url + path });
    expect(await client.model('org/a b')).toMatchObject({ url: '/below/v1/models/org/a%20b' });
  },
);

test('takes nothing from an error that is not as ours are', async () => {
  await expect(new PlimsollClient({ url }).cleanup()).rejects.toMatchObject({
    ...{ status: 500, code: undefined, message: 'the server answered with 500', retryable: false },
  });
});

test('writes ids into addresses: slashes stay', async () => {
  const client = new PlimsollClient({ url });
  expect(await client.model('org/a b')).toMatchObject({ url: '/v1/models/org/a%20b' });
});

test('a refusal has its code, and when to come again', async () => {
  const refused = new PlimsollClient({ url }).recycle();
  await expect(refused).rejects.toBeInstanceOf(PlimsollClientError);
  await expect(refused).rejects.toMatchObject({
    ...{ status: 503, code: 'SHUTTING_DOWN', message: 'the server is stopping' },
    ...{ retryable: true, retryAfterSeconds: 7 },
  });
});

test('what a proxy says in between is told too', async () => {
  await expect(new PlimsollClient({ url }).memory()).rejects.toMatchObject({
    ...{ status: 502, code: undefined, message: 'the server answered with 502: <p>no' },
  });
});

test('a proxy may say when to come again as a date', async () => {
  const error: unknown = await new PlimsollClient({ url }).models().catch((of: unknown) => of);
  if (!(error instanceof PlimsollClientError)) throw new Error('no refusal');
  expect(error.retryAfterSeconds).toBeGreaterThan(80);
  expect(error.retryAfterSeconds).toBeLessThanOrEqual(90);
});
