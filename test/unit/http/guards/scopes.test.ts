import fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import {
  declareScope,
  requireScopes,
  type ScopedRoute,
} from '../../../../src/http/guards/scopes.js';
import { builtServer } from '../built-server.js';

/** Routes that a key without `manage` must never reach, however they are spelt: they change the server. */
const CHANGES_SERVER = /\/(load|unload|recycle|cleanup|pull|pulls|proofs|cache|keys)(\/|$)/;

const shown = ({ methods, url, scope }: ScopedRoute) => `${methods.join(',')} ${url}: ${scope}`;

describe('the table of routes and scopes', () => {
  test('has every route of the server', async () => {
    const app = await builtServer();
    await app.ready();
    const table = app.scopeTable();
    const scopes = new Map(table.map((route) => [`${route.methods} ${route.url}`, route.scope]));
    expect(scopes.get('POST /v1/classify')).toBe('classify');
    expect(scopes.get('GET /v1/records')).toBe('read');
    expect(scopes.get('HEAD /v1/records')).toBe('read');
    expect(scopes.get('POST /v1/memory/recycle')).toBe('manage');
    expect(scopes.get('POST /v1/models/*')).toBe('manage');
    expect(scopes.get('GET /health/live')).toBe('open');
    expect(scopes.get('GET /metrics')).toBe('read');
  });

  test('lets nobody change the server without manage', async () => {
    const app = await builtServer();
    await app.ready();
    const loose = app
      .scopeTable()
      .filter(({ methods }) => methods.some((method) => !/^(GET|HEAD|OPTIONS)$/.test(method)))
      .filter(({ url, scope }) => CHANGES_SERVER.test(url) && scope !== 'manage');
    expect(loose.map(shown)).toEqual([]);
  });

  test('opens documents, health and the description, and nothing else', async () => {
    const app = await builtServer();
    await app.ready();
    const open = app.scopeTable().filter(({ scope }) => scope === 'open');
    const other = open.filter(
      ({ url }) => !/^\/(docs|((tei|v2)\/)?health|openapi\.json|assets|$)/.test(url),
    );
    expect(other.map(shown)).toEqual([]);
  });

  test('stops a server with a route that was added past it', async () => {
    const app = fastify();
    requireScopes(app);
    app.get('/forgotten', async () => 'x');
    await expect(app.ready()).rejects.toThrow('/forgotten has no scope');
    const child = fastify();
    const table = requireScopes(child);
    await child.register((plugin, _options, done) => {
      declareScope(plugin, 'open');
      plugin.get('/document', async () => 'x');
      done();
    });
    await child.ready();
    expect(table().map(shown)).toEqual(['GET /document: open', 'HEAD /document: open']);
  });
});
