import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** Time in which the head of a request must have arrived, ms. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** Time in which a whole request must have arrived, ms: slow senders cannot hold connections. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** Time between two looks for connections that are over one of these, ms. Node's default is 30 s. */
export const TIMEOUT_CHECK_MS = 1000;
/** Connections taken in beyond the maximum, so that a new one can be told apart from an idle one. */
const SPARE_CONNECTIONS = 64;

/**
 * Keeps the number of open connections at `maxConnections`. A new connection beyond it takes the place of the
 * one that has been idle longest: no request of it is being answered, be it that it waits for its next one, or
 * that its first one has not arrived yet. Where every connection is being answered, the new one is closed.
 *
 * Node itself (`server.maxConnections`) closes every new connection, so that whoever holds idle ones keeps
 * all others out.
 */
export function limitConnections(server: Server, maxConnections: number): void {
  /** Connections without a running request, the one that has been idle longest first. */
  const idle = new Set<Socket>();
  const running = new Map<Socket, number>();

  server.maxConnections = maxConnections + SPARE_CONNECTIONS;
  // Over TLS requests come on the socket that was secured.
  const event = server instanceof TlsServer ? 'secureConnection' : 'connection';
  server.on(event, (socket: Socket) => {
    socket.once('close', () => {
      idle.delete(socket);
      running.delete(socket);
    });
    if (idle.size + running.size >= maxConnections) {
      const [longest] = idle;
      if (longest === undefined) {
        socket.destroy();
        return;
      }
      idle.delete(longest);
      longest.destroy();
    }
    idle.add(socket);
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    idle.delete(socket);
    running.set(socket, (running.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (running.get(socket) ?? 1) - 1;
      if (left > 0) {
        running.set(socket, left);
        return;
      }
      running.delete(socket);
      if (!socket.destroyed) idle.add(socket);
    });
  });
}
