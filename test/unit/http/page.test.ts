import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { pageRoutes } from '../../../src/http/page.js';

async function serve(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-page-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const app = fastify();
  onTestFinished(() => app.close());
  await pageRoutes(app, folder);
  return app;
}

const BUILT = { 'index.html': '<!doctype html>', 'assets/page-8f3a.js': 'go()' };

test('the page is asked for each time, and not sent again where it is the same', async () => {
  const app = await serve(BUILT);
  const first = await app.inject('/');
  expect(first.statusCode).toBe(200);
  expect(first.body).toBe(BUILT['index.html']);
  expect(first.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
  });
  const headers = { 'if-none-match': String(first.headers.etag) };
  expect((await app.inject({ url: '/', headers })).statusCode).toBe(304);
});

test('its assets are kept by browsers for good', async () => {
  const app = await serve(BUILT);
  const asset = await app.inject('/assets/page-8f3a.js');
  expect(asset.body).toBe('go()');
  expect(asset.headers).toMatchObject({
    'content-type': expect.stringMatching(/^(text|application)\/javascript;/),
    'cache-control': 'public, max-age=31536000, immutable',
  });
});

test('nothing beside the built files is given out', async () => {
  const app = await serve(BUILT);
  for (const url of ['/assets/other.js', '/assets/', '/../package.json', '/%2e%2e/package.json']) {
    expect((await app.inject(url)).statusCode, url).toBe(404);
  }
});

test('where no page was built the documentation takes its place', async () => {
  const app = await serve({});
  const reply = await app.inject('/');
  expect(reply.statusCode).toBe(302);
  expect(reply.headers.location).toBe('/docs');
});
