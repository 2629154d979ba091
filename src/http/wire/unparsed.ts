import type { ServerResponse } from 'node:http';
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

/** Node's own mark of the answer that a connection is at; its default handler looks at it too. */
interface HttpSocket extends Socket {
  readonly _httpMessage?: ServerResponse | null;
}

/** Connections whose refusal waits for the answers before it. */
const waiting = new WeakSet<Socket>();

/**
 * Answers a request that could not even be parsed, and ends its connection: there is no reply object to answer with.
 *
 * 1. Answers that the connection is owed come first: written before one of them, the refusal would be taken for it, and
 *    written into it, it would be a part of it.
 * 2. A request whose answer has begun before the rest of it came gets no other one.
 */
export function replyToUnparsed(error: NodeJS.ErrnoException, socket: HttpSocket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const owed = socket._httpMessage ?? undefined;
  if (owed?.req.complete === true) {
    if (waiting.has(socket)) return;
    waiting.add(socket);
    owed.once('close', () => {
      waiting.delete(socket);
      replyToUnparsed(error, socket); // 1
    });
    return;
  }
  endConnection(socket, owed?.headersSent === true ? '' : wordsOf(error)); // 2
}

function wordsOf({ code: of = '' }: NodeJS.ErrnoException): string {
  const [code, message] = KNOWN[of] ?? ['INVALID_REQUEST', 'this is not HTTP'];
  const refusal = new PlimsollError(code, message);
  const body = JSON.stringify(errorBody(refusal));
  return (
    `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status] ?? ''}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  );
}
