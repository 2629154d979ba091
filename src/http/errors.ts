import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorBody, errorSchema } from '../contract/errors.js';
import type { Schema } from '../contract/schema/schema.js';
import { type ErrorCode, PlimsollError } from '../errors.js';
import { DATA_HEADERS } from './page.js';

/** Fastify's own errors, and the codes that callers see instead. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'MALFORMED_JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'MALFORMED_JSON',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'INVALID_REQUEST',
};

/** What reading a body fails with when the caller has gone: no fault of ours, and nobody is there to be told. */
const GONE_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

/** How a protocol writes errors. */
export interface ErrorForm {
  /** Of the bodies. */
  readonly schema: Schema<unknown>;
  readonly statusOf: (error: PlimsollError) => number;
  readonly bodyOf: (error: PlimsollError) => object;
}

/** Where faults of ours are told with their details. */
export interface FaultLog {
  readonly error: (facts: object, line: string) => void;
}

/** The body of every error reply. */
export function errorBody(error: PlimsollError): ErrorBody {
  const { code, message, retryable } = error;
  return { error: { code, message, retryable } };
}

/** Plimsoll's own form. */
export const ownErrors: ErrorForm = {
  schema: errorSchema,
  statusOf: ({ status }) => status,
  bodyOf: errorBody,
};

/**
 * The error that the caller sees for whatever was thrown. The server's own faults are shown without details.
 *
 * @param body of the request, to explain what is wrong with its inputs.
 * @param maxInputs undefined for a protocol whose inputs have another shape than ours.
 */
export function asPlimsollError(
  error: unknown,
  body: unknown,
  maxInputs: number | undefined,
): PlimsollError {
  if (error instanceof PlimsollError) return error;
  const { code, statusCode, validation, message } = (error ?? {}) as Partial<FastifyError>;
  if (validation !== undefined) {
    const [first] = validation;
    const where = first?.instancePath ?? '';
    if (maxInputs !== undefined && where.startsWith('/inputs')) {
      return new PlimsollError('INVALID_INPUT', explainInputs(body, maxInputs));
    }
    return new PlimsollError('INVALID_REQUEST', explainField(where, first));
  }
  if (GONE_CODES.has(code ?? '')) {
    return new PlimsollError('CLIENT_GONE', 'the caller closed the connection', { cause: error });
  }
  const known = FASTIFY_CODES[code ?? ''];
  if (known === 'UNSUPPORTED_MEDIA_TYPE') {
    return new PlimsollError(known, 'send the body with Content-Type: application/json');
  }
  if (known !== undefined) return new PlimsollError(known, message ?? code ?? '');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const syntax = error instanceof SyntaxError;
    return new PlimsollError(syntax ? 'MALFORMED_JSON' : 'INVALID_REQUEST', message ?? '');
  }
  const hidden = 'the server met a fault; it is in its log under this request’s id';
  return new PlimsollError('INTERNAL', hidden, { cause: error });
}

/** The one place that writes error replies. */
export function replyWithError(
  error: PlimsollError,
  request: FastifyRequest,
  reply: FastifyReply,
  log: FaultLog,
  form: ErrorForm = ownErrors,
): FastifyReply {
  if (error.status >= 500 && error.code === 'INTERNAL') {
    log.error({ err: error.cause ?? error, reqId: request.id }, 'a request met a fault');
  }
  if (error.retryAfterSeconds !== undefined) {
    reply.header('retry-after', String(error.retryAfterSeconds));
  }
  reply.headers(DATA_HEADERS).header('x-request-id', request.id);
  return reply.code(form.statusOf(error)).send(form.bodyOf(error));
}

interface ValidationFact {
  readonly keyword?: string;
  readonly message?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

function explainField(where: string, fact: ValidationFact | undefined): string {
  const parts = where.split('/').slice(1);
  const field = parts.length > 0 ? parts.join('.') : 'the body';
  const { params } = fact ?? {};
  if (fact?.keyword === 'required') return `${String(params?.missingProperty)} is missing`;
  if (fact?.keyword === 'additionalProperties') {
    return `${String(params?.additionalProperty)} is not a field of this request`;
  }
  return `${field} ${fact?.message ?? 'is not valid'}`;
}

function explainInputs(body: unknown, maxInputs: number): string {
  const inputs =
    typeof body === 'object' && body !== null && 'inputs' in body ? body.inputs : undefined;
  if (typeof inputs === 'string') return 'inputs is empty';
  if (areBlank(inputs)) return 'inputs is a pair of empty texts';
  if (!Array.isArray(inputs)) return `inputs is ${nameOf(inputs)}, not a text or a list of texts`;
  if (inputs.length === 0) return 'inputs is an empty list';
  if (inputs.length > maxInputs) {
    return `inputs has ${inputs.length} texts; at most ${maxInputs} go into one request`;
  }
  const faults = inputs.map(faultOf);
  // Where only texts are taken, a pair is what is wrong.
  const [first, pair] = [
    faults.findIndex(Boolean),
    inputs.findIndex((of) => typeof of !== 'string'),
  ];
  const index = first < 0 ? pair : first;
  return `inputs[${index}] is ${faults[index] ?? 'an object, not a text'}`;
}

/** What is wrong with one input that may be a text or a pair; undefined: nothing. */
function faultOf(input: unknown): string | undefined {
  if (typeof input === 'string') return /\S/.test(input) ? undefined : 'empty';
  if (areBlank(input)) return 'a pair of empty texts';
  return isPair(input) ? undefined : `${nameOf(input)}, not a text`;
}

function isPair(input: unknown): input is { readonly text: string; readonly text_pair: string } {
  if (typeof input !== 'object' || input === null) return false;
  if (!('text' in input && 'text_pair' in input)) return false;
  return typeof input.text === 'string' && typeof input.text_pair === 'string';
}

function areBlank(input: unknown): boolean {
  return isPair(input) && !/\S/.test(input.text + input.text_pair);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
