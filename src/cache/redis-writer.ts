import { messageOf } from '../errors.js';
import type { ConnectionPool } from '../pools/connection-pool.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';
import type { ResultCodec, StoredResult } from './redis-value.js';

/** Results that may wait to be written: about 1 MB of results with two labels. */
const MAX_WAITING = 4096;
/** Commands of one pipeline. */
const MAX_PIPELINE = 256;

export interface WriterOptions {
  readonly pool: ConnectionPool<RedisConnection>;
  readonly codec: ResultCodec;
  /** Why Redis refuses writes; `undefined`: it accepts them again. */
  readonly onRefusal: (reason: string | undefined) => void;
  /** The connection broke, or none could be had. */
  readonly onFailure: (error: unknown) => void;
}

/** Writes to Redis in the background: bounded, one pipeline at a time. */
export class RedisWriter {
  readonly #options: WriterOptions;
  readonly #results = new Map<string, StoredResult>();
  readonly #garbage = new Set<string>();
  #running: Promise<void> | undefined;
  #dropped = 0;
  #refused = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Results that were not written: too many waited, or Redis refused them. */
  get dropped(): number {
    return this.#dropped;
  }

  write(key: string, stored: StoredResult): void {
    if (this.#results.size >= MAX_WAITING && !this.#results.has(key)) this.#dropped += 1;
    else this.#results.set(key, stored);
    this.#run();
  }

  remove(key: string): void {
    if (this.#garbage.size < MAX_WAITING) this.#garbage.add(key);
    this.#run();
  }

  /** Drops what waits. */
  clear(): void {
    this.#dropped += this.#results.size;
    this.#results.clear();
    this.#garbage.clear();
  }

  /** Resolves when nothing waits any more. */
  async flushed(): Promise<void> {
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#writeAll().finally(() => {
      this.#running = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    // Results of one event loop turn share a pipeline.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#results.size + this.#garbage.size > 0) {
      const results = taken(this.#results.entries(), (key) => this.#results.delete(key));
      const garbage = taken(this.#garbage.entries(), (key) => this.#garbage.delete(key));
      try {
        await this.#options.pool.use((connection) => this.#send(connection, results, garbage));
      } catch (error) {
        this.#dropped += results.length;
        this.clear();
        this.#options.onFailure(error);
      }
    }
  }

  async #send(
    connection: RedisConnection,
    results: readonly (readonly [string, StoredResult])[],
    garbage: readonly (readonly [string, string])[],
  ): Promise<void> {
    const now = Date.now();
    const living = results.filter(([, { expiresAtMs }]) => expiresAtMs > now);
    const writes = living.map(([key, stored]) => {
      const leftMs = Math.ceil(stored.expiresAtMs - now);
      return connection.send([
        'SET',
        key,
        this.#options.codec.encode(key, stored),
        'PX',
        String(leftMs),
      ]);
    });
    if (garbage.length > 0)
      writes.push(connection.send(['UNLINK', ...garbage.map(([key]) => key)]));
    const replies = await connection.within(REPLY_LIMIT_MS, Promise.allSettled(writes));
    const refusals = replies.flatMap((reply) => (reply.status === 'rejected' ? [reply] : []));
    const [first] = refusals;
    if (first !== undefined && !connection.isUsable) throw first.reason;
    // Error replies: memory is full, this user may not write, or it is a replica.
    this.#dropped += refusals.length;
    if (refusals.length > 0 === this.#refused) return;
    this.#refused = refusals.length > 0;
    this.#options.onRefusal(first === undefined ? undefined : messageOf(first.reason));
  }
}

/** Removes the first entries, as many as fit into a pipeline. */
function taken<V>(
  entries: Iterable<[string, V]>,
  remove: (key: string) => void,
): readonly (readonly [string, V])[] {
  const found: [string, V][] = [];
  for (const entry of entries) {
    if (found.length >= MAX_PIPELINE) break;
    found.push(entry);
  }
  for (const [key] of found) remove(key);
  return found;
}
