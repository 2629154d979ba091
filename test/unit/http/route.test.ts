import fastify from 'fastify';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { object, optional, type Schema, text } from '../../../src/contract/schema/schema.js';
import { describeRoutes } from '../../../src/http/openapi.js';
import { addRoute, type JsonText, type Route } from '../../../src/http/route.js';

const named = object({ name: text(), note: optional(text()) });
type Named = { readonly name: string; readonly note?: string };
type NamedRoute = Route<{ readonly id: string }, unknown, unknown, { readonly 200: Schema<Named> }>;
type Answered = ReturnType<NamedRoute['handle']>;

describe('a route', () => {
  test('compiles only if its handler answers with one of its shapes', () => {
    expectTypeOf<{ name: string }>().toExtend<Answered>();
    expectTypeOf<JsonText<Named>>().toExtend<Answered>();
    expectTypeOf<{ name: number }>().not.toExtend<Answered>();
    expectTypeOf<{ note: string }>().not.toExtend<Answered>();
    expectTypeOf<string>().not.toExtend<Answered>();
    expectTypeOf<JsonText<{ name: number }>>().not.toExtend<Answered>();
    expectTypeOf<Parameters<NamedRoute['handle']>[0]['params']>().toEqualTypeOf<{
      readonly id: string;
    }>();
  });

  test('checks what comes and writes what goes out by its schemas', async () => {
    const app = fastify();
    app.setErrorHandler((_error, _request, reply) =>
      reply.code(400).send({ error: { code: 'X', message: 'wrong', retryable: false, at: 'x' } }),
    );
    addRoute(app, {
      method: 'POST',
      url: '/things/:id',
      scope: 'classify',
      summary: 'A thing',
      tag: 'things',
      path: object({ id: text({ maxLength: 3 }) }),
      body: named,
      replies: { 200: named },
      handle: async ({ params, body }) => ({ ...body, name: `${params.id} ${body.name}`, more: 1 }),
    });
    const post = (id: string, body: object) =>
      app.inject({ method: 'POST', url: `/things/${id}`, payload: body });
    expect((await post('a', { name: 'x' })).json()).toEqual({ name: 'a x' });
    const refused = { error: { code: 'X', message: 'wrong', retryable: false } };
    for (const reply of [await post('a', { note: 'x' }), await post('abcd', { name: 'x' })]) {
      expect(reply.statusCode).toBe(400);
      expect(reply.json()).toEqual(refused);
    }
  });

  test('says for each status which type its reply has: errors are JSON', async () => {
    const app = fastify();
    const schemas: unknown[] = [];
    app.addHook('onRoute', ({ schema }) => {
      schemas.push(schema?.response);
    });
    addRoute(app, {
      method: 'GET',
      url: '/page',
      scope: 'read',
      withoutHead: true,
      summary: 'A page',
      tag: 'things',
      produces: 'text/html',
      replies: { 200: text('The page.') },
      handle: async (_request, reply) => reply.type('text/html').send('<p>'),
    });
    expect((await app.inject('/page')).payload).toBe('<p>');
    expect((await app.inject({ method: 'HEAD', url: '/page' })).statusCode).toBe(404);
    expect(schemas).toEqual([
      {
        200: {
          description: 'The page.',
          content: { 'text/html': { schema: { type: 'string', description: 'The page.' } } },
        },
        '4xx': expect.objectContaining({ required: ['error'] }),
        '5xx': expect.objectContaining({ required: ['error'] }),
      },
    ]);
  });

  test('writes an error whose status its own replies have too', async () => {
    const app = fastify();
    app.setErrorHandler((_error, _request, reply) =>
      reply.code(503).send({ error: { code: 'X', message: 'stopping', retryable: true } }),
    );
    addRoute(app, {
      method: 'GET',
      url: '/state/:id',
      scope: 'read',
      summary: 'A state',
      tag: 'things',
      path: object({ id: text() }),
      replies: { 200: named, 503: named },
      handle: async ({ params }, reply) => {
        if (params.id === 'none') throw new Error('stopping');
        reply.code(503);
        return { name: params.id };
      },
    });
    expect((await app.inject('/state/bad')).json()).toEqual({ name: 'bad' });
    const refused = await app.inject('/state/none');
    expect(refused.statusCode).toBe(503);
    expect(refused.json()).toMatchObject({ error: { message: 'stopping' } });
  });

  test('describes a body that its handler checks, and lets the handler see whatever was sent', async () => {
    const app = fastify();
    await describeRoutes(app, '1.0.0');
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );
    addRoute(app, {
      method: 'POST',
      url: '/things',
      scope: 'classify',
      summary: 'A thing, or its bytes',
      tag: 'things',
      bodyCheckedByHandler: named,
      mayHoldBytes: true,
      replies: { 200: named },
      handle: async ({ body }, reply) => {
        const { length } = body as Buffer;
        if (length === 1) return { name: 'one byte', more: 1 };
        return reply.type('application/octet-stream').send(Buffer.alloc(length, 'b'));
      },
    });
    await app.ready();
    const post = (payload: Buffer, type: string) =>
      app.inject({ method: 'POST', url: '/things', payload, headers: { 'content-type': type } });
    expect((await post(Buffer.from('{'), 'application/json')).json()).toEqual({ name: 'one byte' });
    expect((await post(Buffer.alloc(3), 'application/octet-stream')).payload).toBe('bbb');
    const { paths } = app.swagger();
    const content = {
      'application/json': { schema: named },
      'application/octet-stream': { schema: { type: 'string' } },
    };
    expect(paths?.['/things']).toMatchObject({
      post: { requestBody: { content }, responses: { 200: { content } } },
    });
  });
});
