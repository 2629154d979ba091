import { count, mb, ms, NOTHING, percent } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';
import type { CacheView, PoolView } from '../../data/wire.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const BYTES_PER_MB = 2 ** 20;
const CACHE_COLUMNS: readonly Column[] = [
  { head: 'tier' },
  { head: 'state' },
  { head: 'hits', kind: 'figure' },
  { head: 'misses', kind: 'figure' },
  { head: 'hit rate', kind: 'figure' },
  { head: 'entries', kind: 'figure' },
];
const POOL_COLUMNS: readonly Column[] = [
  { head: 'pool' },
  { head: 'in use', kind: 'figure' },
  { head: 'idle', kind: 'figure' },
  { head: 'max', kind: 'figure' },
  { head: 'waiting', kind: 'figure' },
  { head: 'replaced', kind: 'figure' },
  { head: 'mean wait', kind: 'figure' },
];
/** What the states of Redis' circuit breaker mean for its tier. */
const REDIS_STATES = { closed: 'in use', open: 'bypassed', trying: 'being tried' } as const;

/** The tiers of the result cache, and the connection pools. */
export function CacheAndPools() {
  const { state } = useLive();
  const pools = state?.pools ?? [];
  return (
    <Panel title="Cache and connections">
      {state?.cache && <Cache cache={state.cache} />}
      {pools.length === 0 ? (
        <p class="none">There are no connections to other servers. Records are kept in a file.</p>
      ) : (
        <Pools pools={pools} />
      )}
    </Panel>
  );
}

function Cache({ cache: { memory, redis } }: { readonly cache: CacheView }) {
  return (
    <>
      <Table label="Cache" columns={CACHE_COLUMNS}>
        <Row
          cells={[
            'memory',
            'in use',
            ...hitCells(memory),
            <>
              {count(memory.entries)} <small>in {mb(memory.bytes / BYTES_PER_MB)} MB</small>
            </>,
          ]}
        />
        <Row
          cells={
            redis === null
              ? ['Redis', 'not set up', NOTHING, NOTHING, NOTHING, NOTHING]
              : ['Redis', REDIS_STATES[redis.state], ...hitCells(redis), NOTHING]
          }
        />
      </Table>
      {redis !== null && redis.failures > 0 && (
        <p class="hint">
          {count(redis.failures)} lookups got no answer from Redis; they were answered without it.
        </p>
      )}
      {redis !== null && redis.state !== 'closed' && redis.reason !== null && (
        <p class="reason">Redis: {redis.reason}</p>
      )}
    </>
  );
}

function Pools({ pools }: { readonly pools: readonly PoolView[] }) {
  return (
    <Table label="Connections" columns={POOL_COLUMNS}>
      {pools.map((pool) => (
        <Row
          key={pool.name}
          cells={[
            pool.name,
            count(pool.in_use),
            count(pool.idle),
            count(pool.max),
            count(pool.waiting),
            <>
              {count(pool.recycled)}
              {pool.broken > 0 && <small class="bad"> {count(pool.broken)} broken</small>}
            </>,
            ms(pool.wait_ms_mean),
          ]}
        />
      ))}
    </Table>
  );
}

function hitCells({ hits, misses }: { readonly hits: number; readonly misses: number }) {
  const lookups = hits + misses;
  return [count(hits), count(misses), lookups === 0 ? NOTHING : percent(hits / lookups)];
}
