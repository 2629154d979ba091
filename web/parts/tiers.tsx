import { count, mb, ms, NOTHING, percent } from '../data/format.js';
import { useLive } from '../data/use-live.js';
import { Panel, Table } from './panel.js';

const MB = 2 ** 20;
const REDIS_STATES = { closed: 'in use', open: 'left alone', trying: 'tried again' } as const;

/** The cache by tiers, and the pools of connections. */
export function Tiers() {
  const { state } = useLive();
  const cache = state?.cache;
  const pools = state?.pools ?? [];
  return (
    <Panel title="Cache and connections" area="tiers">
      {cache && (
        <Table label="Cache" heads={['tier', 'state', '#hits', '#misses', '#hit rate', '#holds']}>
          <tr>
            <th scope="row">memory</th>
            <td>in use</td>
            <Hits {...cache.memory} />
            <td class="figure">
              {count(cache.memory.entries)} <small>in {mb(cache.memory.bytes / MB)} MB</small>
            </td>
          </tr>
          <tr>
            <th scope="row">Redis</th>
            {cache.redis === null ? (
              <td colSpan={5}>not set up</td>
            ) : (
              <>
                <td title={cache.redis.reason ?? undefined}>{REDIS_STATES[cache.redis.state]}</td>
                <Hits {...cache.redis} />
                <td class="figure">
                  {count(cache.redis.failures)} <small>without answer</small>
                </td>
              </>
            )}
          </tr>
        </Table>
      )}
      {pools.length === 0 ? (
        <p class="none">No connections to other servers: records are kept in a file.</p>
      ) : (
        <Table
          label="Connections"
          heads={['pool', '#in use', '#idle', '#most', '#waiting', '#replaced', '#mean wait']}
        >
          {pools.map((pool) => (
            <tr key={pool.name}>
              <th scope="row">{pool.name}</th>
              <td class="figure">{count(pool.in_use)}</td>
              <td class="figure">{count(pool.idle)}</td>
              <td class="figure">{count(pool.max)}</td>
              <td class="figure">{count(pool.waiting)}</td>
              <td class="figure">
                {count(pool.recycled)}
                {pool.broken > 0 && <small class="bad"> {count(pool.broken)} broken</small>}
              </td>
              <td class="figure">{ms(pool.wait_ms_mean)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Hits({ hits, misses }: { readonly hits: number; readonly misses: number }) {
  const asked = hits + misses;
  return (
    <>
      <td class="figure">{count(hits)}</td>
      <td class="figure">{count(misses)}</td>
      <td class="figure">{asked === 0 ? NOTHING : percent(hits / asked)}</td>
    </>
  );
}
