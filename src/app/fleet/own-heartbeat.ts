import { hostname, networkInterfaces } from 'node:os';
import type { Heartbeat } from '../../contract/fleet.js';
import { toInstant, toMb } from '../../contract/units.js';
import type { WorkerPool } from '../../inference/workers/pool.js';
import type { MemoryManager } from '../../memory/manager.js';
import { figuresOf } from '../../memory/snapshot.js';
import type { SessionRegistry } from '../../sessions/registry.js';
import type { Config } from '../../settings/config.js';
import { VERSION } from '../../version.js';

/** Models that a server names to the others. */
const MAX_MODELS = 50;

/** What the app knows of this server’s state. */
export interface Standing {
  readonly state: Heartbeat['state'];
  /** Why it is not ready; empty if it is. */
  readonly reason: string;
}

/** The name of this server among the others. */
export function nameOf(config: Config): string {
  return config['server.name'] || hostname();
}

/** What this server says of itself to the others. Memory is that of the last reading: nothing is read for it. */
export function ownHeartbeat(
  {
    memory,
    pool,
    sessions,
  }: {
    readonly memory: MemoryManager;
    readonly pool: WorkerPool;
    readonly sessions: SessionRegistry;
  },
  config: Config,
  of: Standing & {
    readonly id: string;
    readonly address: string | null;
    readonly startedAtMs: number;
    readonly shards: number;
  },
): Heartbeat {
  const { reader } = memory;
  const { last } = reader;
  const figures = last && figuresOf(last);
  const open = sessions.listOpen(Number.MAX_SAFE_INTEGER);
  const models = [...new Set(pool.workers.flatMap(({ loaded }) => [...loaded.keys()]))];
  return {
    id: of.id,
    name: nameOf(config),
    address: of.address,
    role: config['server.role'],
    version: VERSION,
    state: of.state,
    reason: of.reason === '' ? null : of.reason,
    started_at: toInstant(of.startedAtMs),
    server_total_mb: toMb(figures?.serverTotalBytes ?? 0),
    server_used_mb: toMb(figures?.serverUsedBytes ?? 0),
    load_line_mb: toMb(last === undefined ? 0 : reader.loadLineBytes(last)),
    pressure: reader.level,
    private_mb: toMb(figures?.privateBytes ?? 0),
    models: models.sort().slice(0, MAX_MODELS),
    workers_ready: pool.workers.filter(({ state }) => state === 'ready').length,
    workers: pool.workers.length,
    sessions: open.length,
    users: open.reduce((sum, { users }) => sum + users, 0),
    shards: of.shards,
  };
}

/** Where other machines reach a server that listens at this address: one that listens everywhere has an address of its network. */
export function reachableAt(address: string): string {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  if (url.hostname !== '0.0.0.0' && url.hostname !== '[::]') return address;
  const outside = Object.values(networkInterfaces())
    .flatMap((of) => of ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  url.hostname = outside?.address ?? hostname();
  return url.origin;
}
