import type { RespVersions } from '@redis/client';
import type { Connector } from '../pools/connection-pool.js';

/** RESP 2: nothing of RESP 3 is used, and it saves a round trip when a connection opens. */
const PROTOCOL = 2 satisfies RespVersions;
const CONNECT_LIMIT_MS = 2000;
/** A reply that takes longer will not come: a stopped server or a dead network keeps TCP open. */
export const REPLY_LIMIT_MS = 1000;

/** What the connection needs of the library's client. */
interface Client {
  readonly isReady: boolean;
  destroy(): void;
}

type Send = <T>(command: readonly (string | Buffer)[]) => Promise<T>;

/** One connection to Redis. It breaks once and for all: the pool opens another. */
export class RedisConnection {
  /**
   * Sends one command; several that are sent in one turn go out together. Texts come as bytes.
   *
   * @throws Error of an error reply (the connection stays usable), or of a connection that broke.
   */
  readonly send: Send;
  readonly #client: Client;

  constructor(client: Client, send: Send) {
    this.#client = client;
    this.send = send;
  }

  get isUsable(): boolean {
    return this.#client.isReady;
  }

  /** Waits for replies, and gives the connection up if they take too long. */
  async within<T>(limitMs: number, replies: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.close(), limitMs);
    try {
      return await replies;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/** Opens connections for the pool; the library is loaded with the first one. */
export function redisConnector(url: string): Connector<RedisConnection> {
  return {
    open: () => open(url),
    close: async (connection) => connection.close(),
    check: async (connection) => {
      await connection.within(REPLY_LIMIT_MS, connection.send(['PING']));
      return true;
    },
    isUsable: (connection) => connection.isUsable,
  };
}

async function open(url: string): Promise<RedisConnection> {
  // Here and not above: a server without Redis does not pay for its library.
  const { createClient, RESP_TYPES } = await import('@redis/client');
  const client = createClient({
    url,
    RESP: PROTOCOL,
    socket: { connectTimeout: CONNECT_LIMIT_MS, reconnectStrategy: false },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // Its own limit costs an AbortSignal for each command, and ends where the command is sent.
    commandOptions: { timeout: 0 },
  });
  // Without a listener a server that goes away would end this process.
  client.on('error', () => undefined);
  // The library's limit is for the socket only: a stopped server would leave the login without end.
  const timer = setTimeout(() => client.destroy(), CONNECT_LIMIT_MS);
  try {
    await client.connect();
  } catch (error) {
    client.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const options = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
  return new RedisConnection(client, (command) => client.sendCommand(command, options));
}
