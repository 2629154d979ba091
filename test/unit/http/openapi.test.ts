import { expect, test } from 'vitest';
import { builtServer } from './built-server.js';

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly requestBody?: {
              readonly required?: boolean;
              readonly content: Readonly<Record<string, { readonly schema: { type?: unknown } }>>;
            };
          }
        >
      >
    >
  >;
}

test('a body is required in the description where the route refuses to go without it, and only there', async () => {
  const app = await builtServer();
  const { paths } = (await app.inject('/openapi.json')).json<Document>();
  const found: Record<string, readonly [boolean | undefined, boolean]> = {};
  for (const [address, verbs] of Object.entries(paths)) {
    const { requestBody } = verbs.post ?? {};
    if (requestBody === undefined || address.includes('*') || address.includes('{')) continue;
    const reply = await app.inject({ method: 'POST', url: address });
    // A handler that is reached fails here: nothing stands behind it.
    const isRefused = reply.statusCode >= 400 && reply.statusCode < 500;
    found[address] = [requestBody.required, isRefused];
  }
  expect(Object.keys(found).length).toBeGreaterThan(15);
  expect(Object.entries(found).filter(([, [said, is]]) => said !== is)).toEqual([]);
  expect(found['/v1/sessions']).toEqual([false, false]);
  expect(found['/v1/proofs']).toEqual([false, false]);
  expect(found['/v1/classify']).toEqual([true, true]);
  expect(paths['/v1/keys/{name}/rotate']?.post?.requestBody?.required).toBe(false);
});

test('a key may be given another secret without a body', async () => {
  const app = await builtServer();
  const reply = await app.inject({ method: 'POST', url: '/v1/keys/a/rotate' });
  expect(reply.statusCode).toBe(500);
});
