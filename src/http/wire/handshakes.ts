import type { Socket } from 'node:net';
import type { Server } from 'node:tls';

/** Time in which a TLS handshake must have ended, ms. Node's default is 120 s. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Handshakes that may be open at the same time while every place is taken. */
const FEWEST_HANDSHAKES = 32;

/**
 * Bounds the connections over TLS whose handshake has not ended: to the places that are free, or to a few where none is.
 * The oldest of them gives way to a new one, so connections that never say a word keep nobody out.
 *
 * @param freePlaces connections that may still be taken in.
 */
export function limitHandshakes(server: Server, freePlaces: () => number): void {
  /** By both ends of the connection, the oldest first: the secured socket does not say which raw one it is. */
  const open = new Map<string, Socket>();
  server.on('connection', (raw: Socket) => {
    const ends = endsOf(raw);
    if (ends === undefined) return;
    open.set(ends, raw);
    raw.once('close', () => {
      if (open.get(ends) === raw) open.delete(ends);
    });
    if (open.size <= Math.max(FEWEST_HANDSHAKES, freePlaces())) return;
    for (const [name, oldest] of open) {
      open.delete(name);
      oldest.destroy();
      return;
    }
  });
  server.prependListener('secureConnection', (socket) => {
    const ends = endsOf(socket);
    if (ends !== undefined) open.delete(ends);
  });
  // A handshake that failed or took too long: there is nobody to answer, and Node leaves the socket to whoever answers it.
  server.prependListener('tlsClientError', (_error, socket) => void socket.destroy());
}

/** Undefined for a Unix socket, whose ends have no names: only this machine reaches it, and the time bound holds there too. */
function endsOf(socket: Socket): string | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remotePort === undefined) return undefined;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
