import type { Socket } from 'node:net';
import { type ErrorCode, PlimsollError } from '../../errors.js';
import { errorBody } from '../errors.js';
import { endConnection } from './ending.js';

/** Node's codes of requests that it could not read, and what the caller is told. */
const KNOWN: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', 'the head of the request is larger than 16 KB'],
};
const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** Answers a request that could not even be parsed, and ends its connection: there is no reply object to answer with. */
export function replyToUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const [code, message] = KNOWN[error.code ?? ''] ?? ['INVALID_REQUEST', 'this is not HTTP'];
  const refusal = new PlimsollError(code, message);
  const body = JSON.stringify(errorBody(refusal));
  endConnection(
    socket,
    `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status] ?? ''}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
