import { messageOf } from '../errors.js';
import type { ConnectionPool } from '../pools/connection-pool.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';
import { encodeResult, type StoredResult } from './redis-value.js';

/** Results that wait to be written, at most: about 1 MB of results with two labels. */
const MOST_WAITING = 4096;
/** Commands that go out together. */
const MOST_TOGETHER = 256;

export interface WriterOptions {
  readonly pool: ConnectionPool<RedisConnection>;
  /** Redis took no write for this reason, or (`undefined`) takes them again. */
  readonly onRefusal: (reason: string | undefined) => void;
  /** The connection broke, or could not be had. */
  readonly onFailure: (error: unknown) => void;
}

/** Writes to Redis off the path of requests: bounded, one group of commands at a time. */
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

  /** Results that were not written: too many waited, or Redis did not take them. */
  get dropped(): number {
    return this.#dropped;
  }

  write(key: string, stored: StoredResult): void {
    if (this.#results.size >= MOST_WAITING && !this.#results.has(key)) this.#dropped += 1;
    else this.#results.set(key, stored);
    this.#run();
  }

  remove(key: string): void {
    if (this.#garbage.size < MOST_WAITING) this.#garbage.add(key);
    this.#run();
  }

  /** Forgets what waits. */
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
    // What arrives in this turn goes out together.
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
      return connection.send(['SET', key, encodeResult(stored), 'PX', String(leftMs)]);
    });
    if (garbage.length > 0)
      writes.push(connection.send(['UNLINK', ...garbage.map(([key]) => key)]));
    const replies = await connection.within(REPLY_LIMIT_MS, Promise.allSettled(writes));
    const refusals = replies.flatMap((reply) => (reply.status === 'rejected' ? [reply] : []));
    const [first] = refusals;
    if (first !== undefined && !connection.isUsable) throw first.reason;
    // An error reply: memory is full, this user may not write, or it is a replica.
    this.#dropped += refusals.length;
    if (refusals.length > 0 === this.#refused) return;
    this.#refused = refusals.length > 0;
    this.#options.onRefusal(first === undefined ? undefined : messageOf(first.reason));
  }
}

/** Takes the first entries, as many as go out together. */
function taken<V>(
  entries: Iterable<[string, V]>,
  remove: (key: string) => void,
): readonly (readonly [string, V])[] {
  const found: [string, V][] = [];
  for (const entry of entries) {
    if (found.length >= MOST_TOGETHER) break;
    found.push(entry);
  }
  for (const [key] of found) remove(key);
  return found;
}
