import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fastify, { type FastifyInstance } from 'fastify';
import { expect, test } from 'vitest';
import { closed, list, object, text } from '../../../../src/contract/schema/schema.js';
import type { Door } from '../../../../src/http/doors/door.js';
import { DOORS } from '../../../../src/http/doors/doors.js';
import { chosenDoors, errorFormOf, openDoors } from '../../../../src/http/doors/open-doors.js';
import { asPlimsollError, type ErrorForm, replyWithError } from '../../../../src/http/errors.js';
import { addRoute } from '../../../../src/http/route.js';
import type { HttpServices } from '../../../../src/http/services.js';
import { sharedRoute } from '../../../../src/http/shared-addresses.js';
import { SettingError } from '../../../../src/settings/setting.js';

const said = object({ by: text() });

/** A protocol whose errors are one field, and that reads a list under its own name at `/both`. */
function door(name: string, field: string): Door {
  const errors: ErrorForm = {
    schema: object({ [`${name}_error`]: text() }),
    statusOf: ({ status }) => status,
    bodyOf: ({ message }) => ({ [`${name}_error`]: message }),
  };
  return {
    name,
    errors,
    prefixes: [`/${name}`],
    open: (app) =>
      addRoute(app, {
        method: 'POST',
        url: `/${name}/own`,
        scope: 'classify',
        summary: 'Own',
        tag: name,
        body: closed({ [field]: list(text()) }),
        replies: { 200: said },
        errors: errors.schema,
        handle: async () => ({ by: name }),
      }),
    shared: () => [
      sharedRoute(
        {
          method: 'POST',
          url: '/both',
          scope: 'classify',
          summary: 'Both',
          tag: name,
          body: closed({ [field]: list(text()) }),
          replies: { 200: said },
          handle: async () => ({ by: name }),
        },
        field,
      ),
    ],
  };
}

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const TWO = [door('first', 'texts'), door('second', 'documents')];

/** The doors read nothing of the rest of the server but these. */
const SERVICES = { userSecret: 'x', limits: { maxInputs: 8, deadlineMs: 1000 } } as HttpServices;

function opened(open: readonly string[]): FastifyInstance {
  const app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });
  const log = { error: () => undefined };
  openDoors(
    app,
    SERVICES,
    {
      open: new Set(open),
      refuse: (error, request, reply, form) =>
        replyWithError(asPlimsollError(error, undefined, undefined), request, reply, log, form),
    },
    TWO,
  );
  return app;
}

const both = opened(['first', 'second']);
const post = async (app: FastifyInstance, url: string, payload: object | string) => {
  const headers = { 'content-type': 'application/json' };
  const reply = await app.inject({ method: 'POST', url, payload, headers });
  return { status: reply.statusCode, body: reply.json<Record<string, string>>() };
};

test('a body finds its protocol at an address that two have', async () => {
  expect(await post(both, '/both', { texts: [] })).toEqual({ status: 200, body: { by: 'first' } });
  expect(await post(both, '/both', { documents: ['a'] })).toEqual({
    status: 200,
    body: { by: 'second' },
  });
});

test('a body that does not fit is refused in the form of its protocol', async () => {
  const { status, body } = await post(both, '/both', { documents: 'a' });
  expect(status).toBe(400);
  expect(body.second_error).toContain('documents must be array');
  const own = await post(both, '/second/own', { documents: 'a' });
  expect(own).toEqual({ status: 400, body });
});

test('a body of no protocol is refused in the form of the first, and told what is missing', async () => {
  const { status, body } = await post(both, '/both', {});
  expect(status).toBe(400);
  expect(body.first_error).toBe(
    'the body of /both needs the field "texts" (first) or "documents" (second)',
  );
  expect((await post(both, '/both', '{')).body).toHaveProperty('first_error');
  expect((await post(both, '/second/own', '{')).body).toHaveProperty('second_error');
});

test('a closed door says so, and leaves shared addresses to the others', async () => {
  const app = opened(['first']);
  const hint = 'the door "second" of this server is closed; the setting http.doors opens it';
  const refused = { status: 404, body: { second_error: hint } };
  expect(await post(app, '/second/own', { documents: [] })).toEqual(refused);
  expect(await post(app, '/both', { documents: [] })).toEqual(refused);
  expect((await post(app, '/both', { texts: [] })).status).toBe(200);
  expect((await post(app, '/both', {})).body.first_error).not.toContain('documents');
  expect((await post(opened([]), '/both', {})).status).toBe(404);
});

test('the beginning of an address says in which form its errors are', () => {
  expect(errorFormOf('/second/nothing', TWO)).toBe(TWO[1]?.errors);
  expect(errorFormOf('/secondary', TWO)).not.toBe(TWO[1]?.errors);
  const inner = { ...door('inner', 'x'), prefixes: ['/first/inner'] };
  for (const doors of [
    [...TWO, inner],
    [inner, ...TWO],
  ]) {
    expect(errorFormOf('/first/inner/x', doors)).toBe(inner.errors);
    expect(errorFormOf('/first/innermost', doors)).toBe(TWO[0]?.errors);
  }
  const formOf = (name: string) => DOORS.find((of) => of.name === name)?.errors;
  expect(errorFormOf('/v2/rerank')).toBe(formOf('vllm'));
  expect(errorFormOf('/v2/rerank/x')).toBe(formOf('vllm'));
  expect(errorFormOf('/v2/reranks')).toBe(formOf('open-inference'));
});

test('the document shows the smallest door, with all of its files', () => {
  const folder = (name: string) => path.join(ROOT, 'src/http/doors', name);
  const lines = (name: string) =>
    readdirSync(folder(name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .flatMap(({ parentPath, name: file }) =>
        readFileSync(path.join(parentPath, file), 'utf8').split('\n'),
      ).length;
  const [smallest = ''] = DOORS.map(({ name }) => name).sort((a, b) => lines(a) - lines(b));
  const document = readFileSync(path.join(ROOT, 'docs/doors.md'), 'utf8');
  expect(document).toContain(`The smallest one is \`${smallest}/\`:`);
  for (const file of readdirSync(folder(smallest))) expect(document).toContain(`| \`${file}\` |`);
});

test('the setting names doors, and refuses what is none', () => {
  expect([...chosenDoors('all')]).toEqual(DOORS.map(({ name }) => name));
  expect([...chosenDoors(' second , first', TWO)].sort()).toEqual(['first', 'second']);
  expect(() => chosenDoors('first,third', TWO)).toThrow(SettingError);
  expect(() => chosenDoors(',', TWO)).toThrow(/http.doors: .* first, second/);
});
