import { createHash } from 'node:crypto';
import { REPLY_LIMIT_MS, type RedisConnection } from '../cache/redis-connection.js';
import type { ConnectionPool } from '../pools/connection-pool.js';
import type { SharedLimits, WindowId } from './limits.js';

/** In the same slot of a cluster as the results (see redis-keys.ts), and not counted with them. */
const PREFIX = 'plimsoll-limits:{2}:';
/** A request waits no longer for Redis; it is then counted by this server alone. */
const REPLY_MS = 100;

/**
 * Takes from a window what is left of it, up to what is wanted; the first to take begins the window. Redis runs a script
 * as one step, so that servers never take the same part twice.
 *
 * KEYS: the window. ARGV: wanted, limit, length of a window in ms.
 */
const TAKE = `
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - used))
if granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
  if used == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return {granted, redis.call('PTTL', KEYS[1])}`;

/** Limits that several servers share in Redis. */
export class RedisLimits implements SharedLimits {
  readonly #pool: Pick<ConnectionPool<RedisConnection>, 'use'>;
  readonly #isAway: () => boolean;
  readonly #secret: string;

  /**
   * @param isAway whether Redis is known not to answer: it is then not asked.
   * @param secret of the hash that stands for the key's name in Redis.
   */
  constructor(
    pool: Pick<ConnectionPool<RedisConnection>, 'use'>,
    isAway: () => boolean,
    secret: string,
  ) {
    this.#pool = pool;
    this.#isAway = isAway;
    this.#secret = secret;
  }

  async take({ key, kind, limit, windowMs }: WindowId, wanted: number) {
    if (this.#isAway()) return undefined;
    const name = createHash('sha256').update(`${this.#secret}\0${key}`).digest('base64url');
    const command = ['EVAL', TAKE, '1', `${PREFIX}${kind}:${name}`];
    const values = [wanted, limit, windowMs].map(String);
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        isLate = true;
        resolve(undefined);
      }, REPLY_MS);
    });
    try {
      const reply = this.#pool.use(async (connection) => {
        // Whoever waited for a connection has been counted by this server alone.
        if (isLate) return undefined;
        const sent = connection.send<[number, number]>([...command, ...values]);
        return connection.within(REPLY_LIMIT_MS, sent);
      });
      // A late failure has nobody left to tell.
      reply.catch(() => undefined);
      const taken = await Promise.race([reply, late]);
      if (taken === undefined) return undefined;
      const [granted, endsInMs] = taken;
      return { granted, endsInMs: endsInMs > 0 ? endsInMs : windowMs };
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}
