import { afterAll, beforeAll } from 'vitest';

/**
 * Starts a server before the tests of the block in which it is called, and stops it after them.
 *
 * @returns gives the server; only tests may call it
 */
export function during<S extends { readonly stop: () => Promise<void> }>(
  start: () => Promise<S>,
): () => S {
  let server: S | undefined;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => {
    if (server === undefined) throw new Error('the server has not been started');
    return server;
  };
}
