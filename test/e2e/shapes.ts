import { expect } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.js';
import type { Reply } from './harness.js';

const number = expect.any(Number);
const text = expect.any(String);
/** ISO 8601, as `Date.toISOString` writes it. */
export const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

export const figuresShape = {
  server_total_mb: number,
  server_used_mb: number,
  server_percent: number,
  private_mb: number,
  pss_mb: number,
};

export const receiptShape = {
  id: text,
  kind: text,
  cause: text,
  session: expect.toSatisfy((value) => value === null || typeof value === 'string'),
  started_at: instant,
  duration_ms: number,
  before: figuresShape,
  after: figuresShape,
  freed_mb: number,
  freed_private_mb: number,
  actions: expect.any(Array),
};

export const openSessionShape = {
  id: expect.stringMatching(/^\S+$/),
  state: 'open',
  ambient: false,
  max_users: 8,
  users: 0,
  requests: 0,
  failures: 0,
  p50_ms: null,
  p99_ms: null,
  opened_at: instant,
  ended_at: null,
  end_cause: null,
  taken_mb: null,
  cleanup: null,
};

/** Of a session that has answered. */
export const answeredShape = { p50_ms: number, p99_ms: number };

export const timingShape = {
  queue_ms: number,
  tokenize_ms: number,
  run_ms: number,
  total_ms: number,
};

/** What must never reach a caller: where the server lies, or how its code is written. */
const GIVEAWAYS = [
  /\bat .+:\d+:\d+/,
  /node_modules/,
  /file:\/\//,
  /(^|[\s"'(:])\/(root|home|tmp|work|usr|var|etc|opt|proc)\//,
  /dist\/|src\//,
];

/** The reply is exactly the error of that code: its status, the envelope, and nothing of the machine. */
export function expectError(reply: Reply<unknown>, code: ErrorCode, message?: RegExp): void {
  const { status, retryable } = ERRORS[code];
  expect(reply.body, `${reply.status} ${reply.text}`).toStrictEqual({
    error: { code, message: expect.any(String), retryable },
  });
  expect(reply.status).toBe(status);
  if (message !== undefined) expect(reply.text).toMatch(message);
  expectNoGiveaway(reply.text);
}

export function expectNoGiveaway(shown: string): void {
  for (const giveaway of GIVEAWAYS) expect(shown).not.toMatch(giveaway);
}
