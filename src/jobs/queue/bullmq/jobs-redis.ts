import type { RespVersions } from '@redis/client';
import type { BullRoot, WorkerSettings } from './bull-deliveries.js';
import { refusalOfPolicy } from './redis-policy.js';

/** RESP 2: no feature of RESP 3 is used. */
const PROTOCOL = 2 satisfies RespVersions;
const CONNECT_LIMIT_MS = 2000;
const RECONNECT_MS = 500;
/** A Redis that stands still is asked every second, and given up when it has said nothing for this long. */
const SILENCE_LIMIT_MS = 5000;
const PING_MS = 1000;
/** The server starts without a Redis that is not there yet. */
const START_LIMIT_MS = 5000;

type Client = Awaited<ReturnType<typeof createClient>>;

/** The connection to the Redis of jobs, which the ledger and BullMQ share. It comes back by itself; meanwhile commands fail at once. */
export class JobsRedis {
  readonly #url: string;
  readonly #prefix: string;
  readonly #onError: (error: unknown) => void;
  #client: Promise<Client> | undefined;
  #starting: Promise<void> | undefined;
  /** Why this Redis must not keep jobs. */
  #refusal: string | undefined;

  constructor(url: string, prefix: string, onError: (error: unknown) => void) {
    this.#url = url;
    this.#prefix = prefix;
    this.#onError = onError;
  }

  /** @throws Error if this Redis would evict jobs. One that does not answer is connected to later. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** @throws Error if Redis does not answer, or must not keep jobs. */
  async send<T>(command: readonly string[]): Promise<T> {
    const client = await this.#ready();
    return (await client.sendCommand([...command])) as T;
  }

  /** Runs a script as a whole. */
  run(script: string, keys: readonly string[], values: readonly string[]): Promise<unknown> {
    return this.send(['EVAL', script, String(keys.length), ...keys, ...values]);
  }

  /** BullMQ on this connection. */
  async bull(settings: WorkerSettings): Promise<BullRoot> {
    const client = await this.#ready();
    const bull = await import('bullmq');
    const connection = bull.createNodeRedisClient(client);
    const options = { ...settings, connection, prefix: this.#prefix };
    const backend = bull.createRedisBackend('steps', options, {});
    // Without a listener an 'error' event would end this process.
    backend.on('error', () => undefined);
    await backend.waitUntilReady();
    return { bull, backend, close: async () => undefined };
  }

  async stop(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    if (client?.isOpen === true) client.destroy();
  }

  async #start(): Promise<void> {
    this.#client = createClient(this.#url);
    const client = await this.#client;
    let tell: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      tell = resolve;
    });
    client.on('error', (error: unknown) => this.#onError(error));
    client.on('ready', () => {
      this.#check(client)
        .catch((error: unknown) => this.#onError(error))
        .finally(tell);
    });
    // It tries again until it is stopped.
    client.connect().catch((error: unknown) => this.#onError(error));
    await within(START_LIMIT_MS, answered);
    if (this.#refusal !== undefined) {
      client.destroy();
      throw new Error(this.#refusal);
    }
  }

  /** Each time that it is connected: another Redis may be there now. */
  async #check(client: Client): Promise<void> {
    const { refusal, warning } = refusalOfPolicy(await client.info('memory'));
    this.#refusal = refusal;
    if (refusal !== undefined) this.#onError(new Error(refusal));
    if (warning !== undefined) this.#onError(new Error(warning));
  }

  async #ready(): Promise<Client> {
    await this.start();
    const client = await this.#client;
    if (client?.isReady !== true) throw new Error('Redis does not answer');
    if (this.#refusal !== undefined) throw new Error(this.#refusal);
    return client;
  }
}

async function createClient(url: string) {
  // Here and not above: a server without Redis does not pay for its library.
  const redis = await import('@redis/client');
  return redis.createClient({
    url,
    RESP: PROTOCOL,
    socket: {
      connectTimeout: CONNECT_LIMIT_MS,
      socketTimeout: SILENCE_LIMIT_MS,
      reconnectStrategy: () => RECONNECT_MS,
    },
    pingInterval: PING_MS,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0 },
  });
}

async function within(limitMs: number, what: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([what, limit]);
  clearTimeout(timer);
}
