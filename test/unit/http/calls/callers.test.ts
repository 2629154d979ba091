import fastify from 'fastify';
import { expect, test } from 'vitest';
import { Callers } from '../../../../src/http/calls/callers.js';

const callers = new Callers('secret');
const app = fastify();
app.get('/', async (request) => ({
  user: callers.userOf(request, undefined),
  inBody: callers.userOf(request, 'body'),
  session: callers.sessionOf(request, undefined) ?? null,
  sessionInBody: callers.sessionOf(request, 'of-body'),
}));

interface Reply {
  readonly user?: string;
  readonly session?: string | null;
  readonly message?: string;
}

async function asked(headers: Readonly<Record<string, string>>) {
  const reply = await app.inject({ url: '/', headers });
  return { status: reply.statusCode, ...reply.json<Reply>() };
}

test('headers say who asks where the body does not', async () => {
  const found = await asked({ 'X-Plimsoll-User': 'ada', 'X-Plimsoll-Session': 's-1' });
  expect(found).toEqual({
    ...{ status: 200, user: 'ada', inBody: 'body', session: 's-1', sessionInBody: 'of-body' },
  });
});

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

test.each(['Zoë', 'Łukasz', '王小明', 'Ада', '🚢'])('a header in UTF-8 says %s', async (name) => {
  const found = await asked({
    'x-plimsoll-user': latin1(name),
    'x-plimsoll-session': latin1(name),
  });
  expect(found).toMatchObject({ user: name, session: name });
});

test('one that is no UTF-8 is Latin-1; its length is counted in characters', async () => {
  expect(await asked({ 'x-plimsoll-user': 'Zo\u00eb' })).toMatchObject({ user: 'Zoë' });
  expect((await asked({ 'x-plimsoll-user': latin1('王'.repeat(128)) })).status).toBe(200);
  const refused = await asked({ 'x-plimsoll-user': latin1('王'.repeat(129)) });
  expect(refused.message).toContain('has 129 characters');
});

test('without a name the user is the hash of the address, and the session is open', async () => {
  const found = await asked({ 'X-Plimsoll-User': '' });
  expect(found).toMatchObject({
    user: expect.stringMatching(/^address-[0-9a-f]{12}$/),
    session: null,
  });
  expect(await asked({})).toEqual(found);
});

test('a header longer than the field of the body is refused', async () => {
  expect((await asked({ 'x-plimsoll-user': 'u'.repeat(128) })).status).toBe(200);
  const refused = await asked({ 'x-plimsoll-user': 'u'.repeat(129) });
  expect(refused.message).toContain('x-plimsoll-user has 129 characters; at most 128');
  expect((await asked({ 'x-plimsoll-session': 's'.repeat(101) })).message).toContain('101');
});
