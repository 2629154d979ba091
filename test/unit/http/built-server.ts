import type { FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import type { KeyCheck } from '../../../src/http/guards/key-guard.js';
import { buildServer, type ServerOptions } from '../../../src/http/server.js';
import type { HttpServices } from '../../../src/http/services.js';
import { Metrics } from '../../../src/metrics/metrics.js';

/**
 * The server with all its routes, and nothing behind them but metrics and limits: for tests of what happens before a
 * handler. A handler that reaches further fails.
 */
export async function builtServer(options: Partial<ServerOptions> = {}): Promise<FastifyInstance> {
  const given: Partial<HttpServices> = {
    metrics: new Metrics(),
    limits: {
      maxInputs: 8,
      deadlineMs: 1000,
      maxConnections: 64,
      batch: { maxItems: 16, maxTokens: 341 },
    },
    userSecret: 'secret',
    settings: [],
    keyCheck: NO_KEYS,
    notReadyBecause: () => '',
    degradedBecause: () => [],
  };
  const rooms = new Proxy(given, { get: (target, name) => Reflect.get(target, name) ?? missing });
  const app = await buildServer(
    {
      bodyLimitBytes: 1 << 20,
      maxConnections: 64,
      host: '127.0.0.1',
      names: [],
      keys: NO_KEYS,
      version: '0',
      pageFolder: '/nowhere',
      logger: { error: () => undefined, info: () => undefined, warn: () => undefined },
      ...options,
    },
    rooms as HttpServices,
  );
  onTestFinished(() => app.close());
  return app;
}

/** Keys are off. */
export const NO_KEYS: KeyCheck = {
  find: () => ({ kind: 'unknown' }),
  remembers: () => false,
  need: () => 'off',
  takeRequest: () => undefined,
  takeInputs: () => undefined,
  onRefusal: () => undefined,
};

/** A service of which the routes take what they like; calling any of it fails. */
const missing: object = new Proxy(
  {},
  {
    get: (_target, name) => () => {
      if (name === 'close') return;
      throw new Error(`${String(name)} is not there in this test`);
    },
  },
);
