import fastify from 'fastify';
import { expect, test } from 'vitest';
import { headersOf, secureReplies } from '../../../src/http/security-headers.js';

const policy = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'self'"] } },
};

test('every reply has helmet’s headers, refusals too', async () => {
  const app = fastify();
  secureReplies(app, policy);
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.url === '/refused' ? new Error('no') : undefined);
  });
  app.get('/', async () => ({}));
  for (const url of ['/', '/refused', '/nowhere']) {
    const { headers } = await app.inject(url);
    expect(headers, url).toMatchObject({
      'content-security-policy': "default-src 'self'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'no-referrer',
    });
  }
  await app.close();
});

test('a route may say otherwise', async () => {
  const app = fastify();
  secureReplies(app, policy);
  app.get('/', async (_request, reply) => {
    void reply.header('content-security-policy', "default-src 'none'");
    return {};
  });
  const { headers } = await app.inject('/');
  expect(headers['content-security-policy']).toBe("default-src 'none'");
  await app.close();
});

test('the headers are helmet’s own', () => {
  expect(Object.keys(headersOf(policy)).length).toBeGreaterThan(8);
});
