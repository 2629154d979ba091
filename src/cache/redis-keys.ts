import type { ConnectionPool } from '../pools/connection-pool.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';

/**
 * Prefix of all our keys; the number is the version of the values. It is in braces because a cluster hashes only
 * what is in them: all keys are in one slot, as MGET of several keys needs.
 */
export const KEY_PREFIX = 'plimsoll:{2}:';

/** COUNT of a SCAN: well below a millisecond of Redis's only thread. */
const SCAN_COUNT = 250;
/** Entries whose size is measured; entries of one model are nearly the same size. */
const SAMPLES = 64;

/** Keys that were found or removed. */
export interface KeysFigures {
  readonly entries: number;
  /** Found: mean MEMORY USAGE of a sample, times the number of entries. Removed: decrease of used_memory. */
  readonly bytes: number;
  /** Whether the whole key space was scanned within the time limit. */
  readonly complete: boolean;
}

type Pool = ConnectionPool<RedisConnection>;

/** Removes our keys in small steps, so that Redis serves other clients in between. */
export async function removeKeys(pool: Pool, limitMs: number): Promise<KeysFigures> {
  const before = await usedBytes(pool);
  let entries = 0;
  const complete = await walk(pool, limitMs, async (connection, keys) => {
    entries += await connection.within(
      REPLY_LIMIT_MS,
      connection.send<number>(['UNLINK', ...keys]),
    );
  });
  // Measured, not computed from the entries' sizes: other clients may write at the same time.
  return { entries, bytes: before - (await usedBytes(pool)), complete };
}

/** Counts our keys. SCAN may return a key twice; it then counts twice. */
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
 * Visits all our keys.
 *
 * @returns whether the scan was complete within the time limit.
 */
async function walk(
  pool: Pool,
  limitMs: number,
  visit: (connection: RedisConnection, keys: readonly Buffer[]) => Promise<void>,
): Promise<boolean> {
  const until = performance.now() + limitMs;
  const [match, count] = [`${KEY_PREFIX}*`, String(SCAN_COUNT)];
  let cursor = '0';
  do {
    // One checkout per step: lookups get the connection in between.
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
