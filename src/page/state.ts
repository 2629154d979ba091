import type { ResultCache } from '../cache/result-cache.js';
import type { ModelView, WorkerView } from '../http/services.js';
import {
  cacheToWire,
  modelToWire,
  poolToWire,
  sessionToWire,
  toMb,
  workerToWire,
} from '../http/wire.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import type { MemoryManager } from '../memory/manager.js';
import { processName, sharedBytesOf } from '../memory/process-ring.js';
import { figuresOf, type ProcessReading } from '../memory/snapshot.js';
import type { NamedPool } from '../pools/connection-pool.js';
import type { SessionRegistry } from '../sessions/registry.js';
import { VERSION } from '../version.js';

/** Open sessions that the page shows at most, the newest. */
const MAX_SESSIONS = 100;

/** What the page shows at one moment. */
export class PageState {
  readonly #parts: PageStateParts;

  constructor(parts: PageStateParts) {
    this.#parts = parts;
  }

  /** As it goes over the wire. Memory is that of the manager's last reading: nothing is read for the page. */
  async now() {
    const { memory, sessions, dispatcher, views, workers, pools, cache } = this.#parts;
    const { reader } = memory;
    const snapshot = reader.last ?? (await reader.read());
    const figures = figuresOf(snapshot);
    const models = await views.listKnown();
    const nowMs = Date.now();
    return {
      at: new Date(nowMs).toISOString(),
      version: VERSION,
      server_total_mb: toMb(figures.serverTotalBytes),
      server_used_mb: toMb(figures.serverUsedBytes),
      load_line_mb: toMb(reader.loadLineBytes(snapshot)),
      pressure: reader.level,
      users_since_recycle: memory.usersSinceRecycle,
      recycle_after_users: this.#parts.recycleAfterUsers,
      waiting_inputs: dispatcher.waitingCount,
      processes: snapshot.processes.map(processToWire),
      sessions: sessions.listOpen(MAX_SESSIONS).map((session) => {
        const { ended_at, end_cause, taken_mb, cleanup, ambient, ...shown } =
          sessionToWire(session);
        return shown;
      }),
      models: models.map(modelToWire),
      workers: workers.list().map((worker) => workerToWire(worker, nowMs)),
      cache: cacheToWire(cache.counts),
      pools: pools.map((pool) => poolToWire(pool.figures)),
    };
  }
}

export interface PageStateParts {
  readonly memory: MemoryManager;
  readonly sessions: SessionRegistry;
  readonly dispatcher: Dispatcher;
  readonly views: { readonly listKnown: () => Promise<readonly ModelView[]> };
  readonly workers: { readonly list: () => readonly WorkerView[] };
  readonly pools: readonly NamedPool[];
  readonly cache: ResultCache;
  readonly recycleAfterUsers: number;
}

function processToWire(reading: ProcessReading) {
  const { role, pid, memory } = reading;
  return {
    name: processName(reading),
    role,
    pid,
    private_mb: toMb(memory.privateBytes),
    shared_mb: toMb(sharedBytesOf(reading)),
  };
}
