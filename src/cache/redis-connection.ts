import type { RespVersions } from '@redis/client';
import type { Connector } from '../pools/pool.js';

/** RESP 2: no feature of RESP 3 is used, and RESP 3 costs a round trip (HELLO) per connection. */
const PROTOCOL = 2 satisfies RespVersions;
const CONNECT_LIMIT_MS = 2000;
/** A later reply is not expected: a stopped server or a dead network leaves the TCP connection open. */
export const REPLY_LIMIT_MS = 1000;

/** The part of the library's client that is used here. */
interface Client {
  readonly isReady: boolean;
  destroy(): void;
}

type Send = <T>(command: readonly (string | Buffer)[]) => Promise<T>;

/** One connection to Redis. It never reconnects: the pool replaces it. */
export class RedisConnection {
  /**
   * Sends one command; commands of one event loop turn are pipelined. Strings are returned as bytes.
   *
   * @throws Error for an error reply (the connection stays usable) and for a broken connection.
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

  /** Waits for replies; closes the connection if they take too long. */
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

/** Opens connections for the pool; the first one loads the library. */
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
    // The library's timeout costs an AbortSignal per command and covers only the sending.
    commandOptions: { timeout: 0 },
  });
  // Without a listener an 'error' event would end this process.
  client.on('error', () => undefined);
  // connectTimeout covers only the socket: a stopped server would block the login for ever.
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
