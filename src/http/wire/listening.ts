import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { messageOf } from '../../errors.js';
import { removeLeftSocket, restrictSocket } from './unix-socket.js';

/** Where the server listens: sockets that it was given, else a Unix socket, else an address. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Path of a Unix socket; empty for none. */
  readonly socket: string;
  /** Open sockets that were handed to this process. */
  readonly descriptors: readonly number[];
  /** Connections that the kernel holds until they are taken in. */
  readonly backlog: number;
}

/**
 * Listens.
 *
 * @throws Error if the place is taken, or what was handed over is no listening socket
 */
export async function listen(app: FastifyInstance, place: Place): Promise<void> {
  const { host, port, socket, descriptors, backlog } = place;
  if (descriptors.length > 0) return listenOn(app, descriptors, backlog);
  if (socket === '') {
    await app.listen({ host, port, backlog });
    return;
  }
  await removeLeftSocket(socket);
  await app.listen({ path: socket, backlog });
  restrictSocket(socket);
}

/** Node's HTTP server listens at one socket: connections of the others are handed to it. */
async function listenOn(
  app: FastifyInstance,
  descriptors: readonly number[],
  backlog: number,
): Promise<void> {
  const [first, ...rest] = descriptors;
  const others = rest.map(() => connectionsFor(app.server));
  // Before the server waits for the connections that are open.
  app.addHook('preClose', async () => {
    for (const other of others) other.close();
  });
  try {
    // `host` is not read where a descriptor is given; without one fastify would add more addresses.
    const options = { fd: first, host: '', backlog };
    await app.listen(options);
    for (const [index, other] of others.entries()) {
      const listening = once(other, 'listening');
      other.listen({ fd: rest[index], backlog });
      await listening;
    }
  } catch (error) {
    const reason = `a socket that was handed over (LISTEN_FDS) cannot be listened at: ${messageOf(error)}`;
    throw new Error(`${reason}; a unit needs ListenStream= and Accept=no`);
  }
}

function connectionsFor(server: Server): Server {
  // As Node's HTTP server takes its own connections.
  const options = { allowHalfOpen: true, noDelay: true };
  const other = createServer(options, (socket) => void server.emit('connection', socket));
  other.maxConnections = server.maxConnections;
  return other;
}
