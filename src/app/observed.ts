import { figuresOf } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Assembly } from './assembly.js';

/** Lets the metrics read the state of the server's parts. */
export function observe(parts: Assembly, metrics: Metrics): void {
  const { memory, dispatcher, sessions, cache, pool, redis, archive } = parts;
  metrics.jobs.observe({ backlogSeconds: () => parts.jobs.service.backlogSeconds() });
  metrics.observe({
    memory: () => {
      const { last } = memory.reader;
      if (last === undefined) return NOTHING_READ;
      const { serverTotalBytes, serverUsedBytes } = figuresOf(last);
      return {
        serverTotalBytes,
        serverUsedBytes,
        loadLineBytes: memory.reader.loadLineBytes(last),
        pressure: memory.reader.level,
        processes: last.processes.map(({ role, worker, memory: of }) => ({
          name: worker ?? role,
          privateBytes: of.privateBytes,
          pssBytes: of.pssBytes,
        })),
      };
    },
    waitingInputs: () => dispatcher.waitingCount,
    openSessions: () => sessions.openCount,
    usersSinceRecycle: () => memory.usersSinceRecycle,
    cache: () => cache.figures,
    redis: () => redis && { ...redis.figures, state: redis.state },
    records: () => archive.figures,
    pools: () => parts.pools.map(({ figures }) => figures),
    loadedModels: () => new Set(pool.workers.flatMap(({ loaded }) => [...loaded.keys()])).size,
  });
}

const NOTHING_READ = {
  serverTotalBytes: 0,
  serverUsedBytes: 0,
  loadLineBytes: 0,
  pressure: 'normal',
  processes: [],
} as const;
