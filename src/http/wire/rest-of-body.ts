import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';
import { endConnection } from './ending.js';

/** Bytes of a refused body that are taken in and thrown away at most. */
const MAX_DISCARDED_BYTES = 256 * 2 ** 20;

/**
 * Takes in the rest of a body whose request was refused before all of it was here, and throws it away. Many clients send all of
 * a body before they read the answer: if the server closed the connection meanwhile, they would see
 * it break (EPIPE) and never the refusal. A client that sends more than the bound, or for longer than any request may
 * take, is cut off.
 */
export function takeRestOfBody(request: IncomingMessage, reply: FastifyReply): void {
  if (request.complete || request.destroyed) return;
  if (endsConnection(reply)) closeAfterwards(request, reply);
  let discarded = 0;
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.byteLength;
    if (discarded > MAX_DISCARDED_BYTES) request.socket.destroy();
  });
  request.resume();
}

function endsConnection(reply: FastifyReply): boolean {
  return !reply.raw.shouldKeepAlive || reply.getHeader('connection') === 'close';
}

/**
 * Node would close the connection as soon as the answer has left, and the system answers what comes then with a reset, which
 * overtakes the answer: it is closed once all of the body is here.
 */
function closeAfterwards(request: IncomingMessage, reply: FastifyReply): void {
  const { raw } = reply;
  void reply.removeHeader('connection');
  raw.shouldKeepAlive = true;
  const close = () => endConnection(request.socket);
  request.once('end', () => {
    if (raw.writableFinished) close();
    else raw.once('finish', close);
  });
}
