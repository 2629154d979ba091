import { expect, test } from 'vitest';
import type { ServerRole } from '../../../../src/http/guards/role-guard.js';
import { builtServer } from '../built-server.js';

async function codeOf(role: ServerRole, method: 'GET' | 'POST', url: string) {
  const app = await builtServer({ role });
  const reply = await app.inject({ method, url, ...(method === 'POST' ? { payload: {} } : {}) });
  return [reply.statusCode, reply.body] as const;
}

test.each([
  ['POST', '/v1/classify'],
  ['POST', '/v1/sessions'],
  ['POST', '/rerank'],
  ['POST', '/predict'],
  ['POST', '/v1/moderations'],
  ['POST', '/v2/models/spam/infer'],
  ['POST', '/v1/zero-shot-classification'],
] as const)('a worker refuses %s %s, and says which role it has', async (method, url) => {
  const [status, text] = await codeOf('worker', method, url);
  expect(status).toBe(421);
  expect(text).toContain('role \\"worker\\"');
  for (const role of ['all', 'door'] as const) {
    expect((await codeOf(role, method, url))[0]).not.toBe(421);
  }
});

test.each(['/health/live', '/health/ready', '/metrics', '/openapi.json', '/v1/config'])(
  'a worker shows %s',
  async (url) => {
    expect((await codeOf('worker', 'GET', url))[0]).toBe(200);
  },
);
