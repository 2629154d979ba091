import type { RespVersions } from '@redis/client';
import { messageOf } from '../errors.js';
import { ConnectionPool } from '../pools/connection-pool.js';
import type { Connector, PoolLimits } from '../pools/pool.js';

/** RESP 2: no feature of RESP 3 is used, and RESP 3 costs a round trip (HELLO) per connection. */
const PROTOCOL = 2 satisfies RespVersions;
const CONNECT_LIMIT_MS = 2000;
/** A later reply is not expected: a stopped server or a dead network leaves the TCP connection open. */
export const REPLY_LIMIT_MS = 1000;
/** A node of a cluster that does not own the key's slot names the one that does. */
const MOVED = /^MOVED \d+ (.*):(\d+)$/;
/** The write reached a replica: after a failover its address may lead to the new primary. */
const READ_ONLY = /^READONLY /;
/** A Redis that is a replica for good must not have its connections replaced with every write. */
const REPLACE_EVERY_MS = 10_000;

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

/** A pool of connections to the Redis at a URL, or to the node of its cluster that owns our slot. */
export function redisPool(url: string, limits: PoolLimits): ConnectionPool<RedisConnection> {
  const connector = new RedisConnector(url, () => pool.replaceAll());
  const pool = new ConnectionPool('redis', limits, connector);
  return pool;
}

/**
 * Opens connections; the first one loads the library. All our keys are in one slot of a cluster, so that one
 * node owns them all: its address is taken from the first redirection, and given up when it does not answer.
 */
class RedisConnector implements Connector<RedisConnection> {
  readonly #url: string;
  readonly #replaceAll: () => void;
  /** The owner of our slot, where it is not the node at the URL. */
  #owner: string | undefined;
  #replacedAtMs = Number.NEGATIVE_INFINITY;

  constructor(url: string, replaceAll: () => void) {
    this.#url = url;
    this.#replaceAll = replaceAll;
  }

  async open(): Promise<RedisConnection> {
    const url = this.#owner ?? this.#url;
    try {
      return await connect(url, (reason) => this.#onRefusal(url, reason));
    } catch (error) {
      // The cluster may have another owner by now: the node at the URL knows.
      if (url === this.#owner) this.#owner = undefined;
      throw error;
    }
  }

  async close(connection: RedisConnection): Promise<void> {
    connection.close();
  }

  async check(connection: RedisConnection): Promise<boolean> {
    await connection.within(REPLY_LIMIT_MS, connection.send(['PING']));
    return true;
  }

  isUsable(connection: RedisConnection): boolean {
    return connection.isUsable;
  }

  /** @returns whether the connection must not be used again. */
  #onRefusal(url: string, reason: string): boolean {
    const [, host, port] = MOVED.exec(reason) ?? [];
    if (port !== undefined) {
      this.#owner = withHost(url, host ?? '', port);
      this.#replaceAll();
      return true;
    }
    if (!READ_ONLY.test(reason)) return false;
    const now = performance.now();
    if (now - this.#replacedAtMs < REPLACE_EVERY_MS) return false;
    this.#replacedAtMs = now;
    this.#replaceAll();
    return false;
  }
}

/** @param host empty: the same, as `CLUSTER` writes a node that does not know its own address. */
function withHost(url: string, host: string, port: string): string {
  const moved = new URL(url);
  if (host !== '') moved.hostname = host.includes(':') ? `[${host}]` : host;
  moved.port = port;
  return moved.href;
}

/** @param onRefusal is told of each error reply, and says whether the connection is of no use any more. */
async function connect(
  url: string,
  onRefusal: (reason: string) => boolean,
): Promise<RedisConnection> {
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
  return new RedisConnection(client, async (command) => {
    try {
      return await client.sendCommand(command, options);
    } catch (error) {
      if (onRefusal(messageOf(error)) && client.isOpen) client.destroy();
      throw error;
    }
  });
}
