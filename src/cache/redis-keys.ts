import type { ConnectionPool } from '../pools/connection-pool.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';

/** Before every key of ours; the number is the version of what lies behind it. */
export const KEY_PREFIX = 'plimsoll:1:';

/** Keys that one SCAN looks at: well below a millisecond of Redis's only thread. */
const KEYS_OF_A_STEP = 250;
/** Entries whose size Redis is asked for; all of one model are nearly alike. */
const SAMPLES = 64;

/** What was found or removed. */
export interface KeysFigures {
  readonly entries: number;
  /** Counted: Redis's own size of a sample of the entries, times their number. Removed: what its memory fell by. */
  readonly bytes: number;
  /** Whether every key was seen before the time was over. */
  readonly complete: boolean;
}

type Pool = ConnectionPool<RedisConnection>;

/** Removes our keys in small steps, so that Redis serves others meanwhile. */
export async function removeKeys(pool: Pool, limitMs: number): Promise<KeysFigures> {
  const before = await usedBytes(pool);
  let entries = 0;
  const complete = await walk(pool, limitMs, async (connection, keys) => {
    entries += await connection.within(
      REPLY_LIMIT_MS,
      connection.send<number>(['UNLINK', ...keys]),
    );
  });
  // Others may write meanwhile: what is told is what came back, not what was expected to.
  return { entries, bytes: before - (await usedBytes(pool)), complete };
}

/** Counts our keys; one that Redis tells twice meanwhile counts twice (SCAN promises no more). */
export async function countKeys(pool: Pool, limitMs: number): Promise<KeysFigures> {
  let entries = 0;
  const sizes: number[] = [];
  const complete = await walk(pool, limitMs, async (connection, keys) => {
    entries += keys.length;
    const sample = keys.slice(0, Math.max(0, SAMPLES - sizes.length));
    const asked = sample.map((key) => connection.send<number | null>(['MEMORY', 'USAGE', key]));
    const replies = await connection.within(REPLY_LIMIT_MS, Promise.all(asked));
    sizes.push(...replies.filter((size) => size !== null));
  });
  const mean = sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length);
  return { entries, bytes: Math.round(mean * entries), complete };
}

/**
 * Visits every key of ours.
 *
 * @returns whether it came to the end within the time.
 */
async function walk(
  pool: Pool,
  limitMs: number,
  visit: (connection: RedisConnection, keys: readonly Buffer[]) => Promise<void>,
): Promise<boolean> {
  const until = performance.now() + limitMs;
  const [match, count] = [`${KEY_PREFIX}*`, String(KEYS_OF_A_STEP)];
  let cursor = '0';
  do {
    // A connection for each step: requests get their turn in between.
    await pool.use(async (connection) => {
      const [next, keys] = await connection.within(
        REPLY_LIMIT_MS,
        connection.send<[Buffer, Buffer[]]>(['SCAN', cursor, 'MATCH', match, 'COUNT', count]),
      );
      cursor = String(next);
      if (keys.length > 0) await visit(connection, keys);
    });
    if (performance.now() >= until && cursor !== '0') return false;
  } while (cursor !== '0');
  return true;
}

async function usedBytes(pool: Pool): Promise<number> {
  const info = await pool.use((connection) =>
    connection.within(REPLY_LIMIT_MS, connection.send<Buffer>(['INFO', 'memory'])),
  );
  return Number(/^used_memory:(\d+)/m.exec(String(info))?.[1] ?? Number.NaN);
}
