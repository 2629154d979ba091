import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';

/** Bytes of a refused body that are taken in and thrown away at most. */
const MAX_DISCARDED_BYTES = 256 * 2 ** 20;

/**
 * Takes in the rest of a body that was refused for its size, and throws it away. Many clients send all of
 * a body before they read the answer: if the server closed the connection meanwhile, they would see
 * it break (EPIPE) and never the refusal. A client that sends more than the bound, or for longer than any request may
 * take, is cut off.
 */
export function takeRestOfBody(request: IncomingMessage, reply: FastifyReply): void {
  // fastify asks for the end of the connection, and Node ends it as soon as the answer has left.
  void reply.removeHeader('connection');
  if (request.complete || request.destroyed) return;
  closeAfterwards(request, reply);
  let discarded = 0;
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.byteLength;
    if (discarded > MAX_DISCARDED_BYTES) request.socket.destroy();
  });
  request.resume();
}

/**
 * A client that asks for the end of the connection gets it once all of its body is here: Node would close as soon as the answer
 * has left, and the system answers what comes then with a reset, which overtakes the answer.
 */
function closeAfterwards(request: IncomingMessage, { raw }: FastifyReply): void {
  if (raw.shouldKeepAlive) return;
  raw.shouldKeepAlive = true;
  const close = () => void request.socket.end();
  request.once('end', () => {
    if (raw.writableFinished) close();
    else raw.once('finish', close);
  });
}
