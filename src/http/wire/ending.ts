import type { Socket } from 'node:net';
import { STALLED_ANSWER_MS } from './stalled-answers.js';

/** What has left reaches a client within this time, ms; then its connection is closed, whether it closes its own end or not. */
const LINGER_MS = 1000;

/**
 * Ends a connection with these last words. Sockets of HTTP stay half open: one whose client does not close would keep
 * its place, and the server from stopping, for ever. It is not closed at once, as the system answers what comes then with a reset,
 * which may overtake the answer. A client that takes in nothing of what is still to be sent gets no longer than any other.
 */
export function endConnection(socket: Socket, lastWords = ''): void {
  if (socket.destroyed) return;
  const close = () => void socket.destroy();
  const linger = () => void setTimeout(close, LINGER_MS).unref();
  if (socket.writableFinished) {
    linger();
    return;
  }
  socket.setTimeout(STALLED_ANSWER_MS, close);
  socket.once('finish', linger);
  if (!socket.writableEnded) socket.end(lastWords);
}
