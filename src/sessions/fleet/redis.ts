import { createHmac } from 'node:crypto';
import type { RedisConnection } from '../../cache/redis-connection.js';
import { messageOf } from '../../errors.js';
import type { ConnectionPool } from '../../pools/connection-pool.js';

/** In the same slot of a cluster as the results (see cache/redis-keys.ts), and not counted with them. */
const PREFIX = 'plimsoll-fleet:{2}:';
/** What Redis keeps of a session after its end, or of one that no server reports any more, stays for so long. */
export const KEEP_MS = 3_600_000;

/** A reply of a script: texts and whole numbers. */
export type Said = string | number | readonly Said[] | null;

export interface FleetRedisOptions {
  readonly pool: Pick<ConnectionPool<RedisConnection>, 'use'>;
  /** `cache.secret`: servers with the same one and the same Redis are a fleet. */
  readonly secret: string;
  /** Why Redis is no longer heard; empty: it is heard again. Once for each change. */
  readonly onState: (reason: string) => void;
}

/** The fleet’s part of Redis: runs scripts within a time limit, and knows whether Redis answers. */
export class FleetRedis {
  readonly #options: FleetRedisOptions;
  readonly #prefix: string;
  #away = 'it was not asked yet';
  #toldAway = false;

  constructor(options: FleetRedisOptions) {
    this.#options = options;
    this.#prefix = `${PREFIX}${keyed(options.secret, 'plimsoll fleet').slice(0, 16)}:`;
  }

  /** Why Redis is not asked by requests; empty while it answers. Heartbeats always ask. */
  get away(): string {
    return this.#away;
  }

  /** What stands for a user of a session in Redis: nobody without the secret can tell who it is, nor follow it to another session. */
  userHash(session: string, user: string): string {
    return keyed(this.#options.secret, `${session}\0${user}`).slice(0, 22);
  }

  /**
   * Runs a script.
   *
   * @param args what the script takes after the prefix.
   * @throws Error if Redis does not answer in time, or refuses; requests then leave it alone until a heartbeat is answered.
   */
  async run(script: string, args: readonly (string | number)[], limitMs: number): Promise<Said> {
    const command = ['EVAL', script, '0', this.#prefix, ...args.map(String)];
    try {
      const reply = this.#options.pool.use((connection) =>
        connection.within(limitMs, connection.send<unknown>(command)),
      );
      return textsOf(await inTime(reply, limitMs));
    } catch (error) {
      this.lost(messageOf(error) || String(error));
      throw error;
    }
  }

  lost(reason: string): void {
    this.#away = reason;
    if (this.#toldAway) return;
    this.#toldAway = true;
    this.#options.onState(reason);
  }

  /** Redis has answered a heartbeat. */
  heard(): void {
    this.#away = '';
    if (!this.#toldAway) return;
    this.#toldAway = false;
    this.#options.onState('');
  }
}

function keyed(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

/** Also bounds the wait for a connection. */
async function inTime<T>(reply: Promise<T>, limitMs: number): Promise<T> {
  // A late failure has nobody left to tell.
  reply.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error(`no answer within ${limitMs} ms`));
    // Timers run before the poll phase: read first what has arrived.
    timer = setTimeout(() => setImmediate(fail), limitMs);
  });
  try {
    return await Promise.race([reply, late]);
  } finally {
    clearTimeout(timer);
  }
}

function textsOf(reply: unknown): Said {
  if (Array.isArray(reply)) return reply.map(textsOf);
  if (Buffer.isBuffer(reply)) return reply.toString('utf8');
  return typeof reply === 'string' || typeof reply === 'number' ? reply : null;
}

/** The items of a list as texts. */
export function listOf(said: Said | undefined): readonly string[] {
  return Array.isArray(said) ? (said as readonly Said[]).map(String) : [];
}
