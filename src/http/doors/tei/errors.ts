import { type TeiErrorType, teiErrorSchema } from '../../../contract/doors/tei.js';
import { type ErrorCode, PlimsollError } from '../../../errors.js';
import type { ErrorForm } from '../../errors.js';

/** An empty batch has a type of its own in TEI. */
export class EmptyBatch extends PlimsollError {
  constructor(field: string) {
    super('INVALID_REQUEST', `\`${field}\` cannot be empty`);
  }
}

/** TEI's types of our codes; others are the caller's (below 500) or the server's. */
const TYPES: { readonly [C in ErrorCode]?: TeiErrorType } = {
  QUEUE_FULL: 'Overloaded',
  TOO_MANY_REQUESTS: 'Overloaded',
  RATE_LIMITED: 'Overloaded',
  TOO_MANY_SESSIONS: 'Overloaded',
  MEMORY_PRESSURE: 'Overloaded',
  INSUFFICIENT_MEMORY: 'Unhealthy',
  SHUTTING_DOWN: 'Unhealthy',
  STORAGE_UNAVAILABLE: 'Unhealthy',
  MODEL_UNUSABLE: 'Backend',
  FORM_REPLACED: 'Backend',
  WORKER_LOST: 'Backend',
  INTERNAL: 'Backend',
  INPUT_REFUSED: 'Backend',
  TASK_NOT_SUPPORTED: 'Backend',
  DEADLINE_EXCEEDED: 'Overloaded',
};
const STATUS: Readonly<Record<TeiErrorType, number>> = {
  Unhealthy: 503,
  Backend: 424,
  Overloaded: 429,
  Validation: 422,
  Tokenizer: 422,
  Empty: 400,
};
/** Codes that are of HTTP, not of what was asked: their status is the same in every protocol. */
const OF_HTTP: ReadonlySet<number> = new Set([401, 403, 404, 405, 408, 413, 415, 421, 431]);

function typeOf(error: PlimsollError): TeiErrorType {
  if (error instanceof EmptyBatch) return 'Empty';
  return TYPES[error.code] ?? (error.status < 500 ? 'Validation' : 'Unhealthy');
}

/** Errors as TEI writes them: a type decides the status. */
export const teiErrors: ErrorForm = {
  schema: teiErrorSchema,
  statusOf: (error) => {
    if (OF_HTTP.has(error.status) || error.code === 'MALFORMED_JSON') return error.status;
    return STATUS[typeOf(error)];
  },
  bodyOf: (error) => ({ error: error.message, error_type: typeOf(error) }),
};
