import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, test, vi } from 'vitest';
import { LAZY_FACTORIES, SCHEMA_OPTIONS, validateLazily } from '../../../src/http/lazy-schemas.js';
import { builtServer } from './built-server.js';

const BODY = {
  type: 'object',
  required: ['size'],
  properties: { size: { type: 'integer', minimum: 1 } },
};
const REPLY = { type: 'object', properties: { size: { type: 'integer' } } };
const SENT = ['GET', 'POST', 'DELETE'] as const;
/** None that compiles. */
const WRONG = { type: 'nothing' };

function withRoute(app: FastifyInstance): FastifyInstance {
  app.post('/', { schema: { body: BODY, response: { 200: REPLY } } }, async () => ({
    size: 2,
    more: 'not in the schema',
  }));
  return app;
}

function lazy(): FastifyInstance {
  const app = fastify({ schemaController: { compilersFactory: LAZY_FACTORIES } });
  validateLazily(app);
  return app;
}

describe('schemas that are compiled at the first request', () => {
  test('refuse and write as those do that fastify compiles at the start', async () => {
    const eager = withRoute(fastify({ ajv: { customOptions: SCHEMA_OPTIONS } }));
    const app = withRoute(lazy());
    for (const payload of [{ size: 1 }, { size: 0 }, { size: '1' }, {}, { size: 3 }]) {
      const [wanted, given] = await Promise.all(
        [eager, app].map((of) => of.inject({ method: 'POST', url: '/', payload })),
      );
      expect(given?.statusCode).toBe(wanted?.statusCode);
      expect(given?.body).toBe(wanted?.body);
    }
    expect((await app.inject({ method: 'POST', url: '/', payload: { size: 1 } })).body).toBe(
      '{"size":2}',
    );
  });

  test('are not looked at before', async () => {
    const app = lazy();
    app.post('/', { schema: { body: WRONG, response: { 200: WRONG } } }, async () => ({}));
    await app.ready();
    const reply = await app.inject({ method: 'POST', url: '/', payload: {} });
    expect(reply.statusCode).toBe(500);
    await expect(
      (async () => {
        const eager = fastify();
        eager.post('/', { schema: { body: WRONG } }, async () => ({}));
        await eager.ready();
      })(),
    ).rejects.toThrow(/schema/);
  });

  test('compile, every one of the server', async () => {
    const eager = vi
      .spyOn(LAZY_FACTORIES, 'buildSerializer')
      .mockImplementation((schemas, options) => SerializerSelector()(schemas, options));
    try {
      const app = await builtServer();
      await app.ready();
      expect(eager).toHaveBeenCalled();
      const table = app.scopeTable();
      expect(table.length).toBeGreaterThan(40);
      for (const { methods, url } of table) {
        for (const method of SENT.filter((one) => methods.includes(one))) {
          const body = method === 'POST' ? { payload: {} } : {};
          const reply = await app.inject({ method, url, ...body });
          const shown = `${method} ${url}`;
          expect(reply.body, shown).not.toMatch(/schema is invalid|strict mode/);
        }
      }
    } finally {
      eager.mockRestore();
    }
  });
});
