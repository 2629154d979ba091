import { oipErrorSchema } from '../../../contract/doors/open-inference.js';
import type { ErrorCode, PlimsollError } from '../../../errors.js';
import type { ErrorForm } from '../../errors.js';
import { NotSupported } from './tensors/datatypes.js';

/** Refusals that come before the protocol: who asks, and how, not what. They keep the status that HTTP has for them. */
const OF_HTTP: ReadonlySet<number> = new Set([401, 403, 405, 408, 413, 421, 429, 431, 499]);

/** What this server cannot do for now: another try, or another server, may get an answer. */
const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set([
  'DEADLINE_EXCEEDED',
  'INSUFFICIENT_MEMORY',
  'MODEL_UNUSABLE',
  'TOO_MANY_REQUESTS',
]);

/**
 * The status of an error, as the protocol has it:
 *
 * 1. What this server does not do: 501.
 * 2. What it cannot do for now: 503. A full share of the queue is one of these, and so is a model that cannot be used.
 * 3. No such model or address: 404. A fault of the server: 500.
 * 4. Who asks, and how: as HTTP has it.
 * 5. Anything else: 400.
 */
export function statusOf(error: PlimsollError): number {
  const { code, status } = error;
  if (error instanceof NotSupported || NOT_SUPPORTED.has(code)) return 501; // 1
  if (status === 503 || UNAVAILABLE.has(code)) return 503; // 2
  if (status === 404 || status === 500) return status; // 3
  if (code === 'ANSWER_TOO_LARGE') return 400; // 5
  return OF_HTTP.has(status) ? status : 400; // 4, 5
}

const NOT_SUPPORTED: ReadonlySet<string> = new Set(['TASK_NOT_SUPPORTED']);

/** Errors as the Open Inference protocol has them. */
export const oipErrors: ErrorForm = {
  schema: oipErrorSchema,
  statusOf,
  bodyOf: ({ message }) => ({ error: message }),
};
