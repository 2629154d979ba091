import type { ResultCache } from '../cache/result-cache.js';
import { shownCache } from '../cache/shown.js';
import type * as contract from '../contract/events.js';
import type { FleetView } from '../contract/fleet.js';
import type { ModelOfState, ModelView, PullView } from '../contract/models.js';
import type { WorkerView } from '../contract/state/workers.js';
import { toInstant, toMb } from '../contract/units.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import type { JobsOverview } from '../jobs/service.js';
import type { MemoryManager } from '../memory/manager.js';
import { processName, sharedBytesOf } from '../memory/process-ring.js';
import { figuresOf, type ProcessReading } from '../memory/snapshot.js';
import type { NamedPool } from '../pools/pool.js';
import { shownPool } from '../pools/shown.js';
import type { SessionRegistry } from '../sessions/registry.js';
import { shownOpen } from '../sessions/shown.js';
import { VERSION } from '../version.js';

/** The page shows so many open sessions at most, the newest. */
const MAX_SESSIONS = 100;

/** The page names so many labels of a model without asking for all of them. */
const MAX_LABELS = 8;

/** Pulls that the page shows at most, the newest. */
const MAX_PULLS = 8;

/** Longest wait of the page's state for the queue of jobs. */
const JOBS_WAIT_MS = 200;

/** What the page shows at one moment. */
export class PageState {
  readonly #parts: PageStateParts;
  #lastJobs: JobsOverview = { jobs: [], more: { open: 0, ended: 0 } };

  constructor(parts: PageStateParts) {
    this.#parts = parts;
  }

  /** Memory is that of the manager's last reading: nothing is read for the page. */
  async now(): Promise<contract.PageState> {
    const { memory, sessions, dispatcher, views, workers, pools, cache, pulls, fleet } =
      this.#parts;
    const { reader } = memory;
    const snapshot = reader.last ?? (await reader.read());
    const figures = figuresOf(snapshot);
    // Awaited before anything is read, so that all of the state is of one moment.
    const [models, servers, shownJobs] = await Promise.all([
      views.listKnown(),
      fleet.shown(),
      this.#jobs(),
    ]);
    return {
      at: toInstant(Date.now()),
      version: VERSION,
      server_total_mb: toMb(figures.serverTotalBytes),
      // What is held against the line: where servers divide a machine, this one's own memory.
      server_used_mb: toMb(
        this.#parts.divides ? reader.loadBytes(snapshot) : figures.serverUsedBytes,
      ),
      load_line_mb: toMb(reader.loadLineBytes(snapshot)),
      pressure: reader.level,
      users_since_recycle: memory.usersSinceRecycle,
      recycle_after_users: this.#parts.recycleAfterUsers,
      waiting_inputs: dispatcher.waitingCount,
      processes: snapshot.processes.map(shownProcess),
      sessions: sessions.listOpen(MAX_SESSIONS).map(shownOpen),
      models: models.map(modelOfState),
      workers: workers.list(),
      cache: shownCache(cache.counts),
      pools: pools.map((pool) => shownPool(pool.figures)),
      pull_allowed: pulls.isAllowed,
      pulls: pulls.list().slice(0, MAX_PULLS),
      jobs: shownJobs.jobs,
      jobs_more: shownJobs.more,
      fleet: servers,
    };
  }

  /** As they were while their queue does not answer: the page has more to show than jobs. */
  async #jobs(): Promise<JobsOverview> {
    const looked = this.#parts.jobs.overview().catch(() => this.#lastJobs);
    this.#lastJobs = await Promise.race([looked, this.#soon()]);
    return this.#lastJobs;
  }

  #soon(): Promise<JobsOverview> {
    return new Promise((resolve) => {
      setTimeout(() => resolve(this.#lastJobs), JOBS_WAIT_MS).unref();
    });
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
  readonly jobs: { readonly overview: () => Promise<JobsOverview> };
  readonly pulls: { readonly isAllowed: boolean; readonly list: () => readonly PullView[] };
  readonly fleet: { readonly shown: () => Promise<FleetView | null> };
  readonly recycleAfterUsers: number;
  /** Whether this server has a part of the machine: `memory.load_of`. */
  readonly divides: boolean;
}

function modelOfState(model: ModelView): ModelOfState {
  const { labels } = model;
  return { ...model, labels: labels.slice(0, MAX_LABELS), label_count: labels.length };
}

function shownProcess(reading: ProcessReading): contract.ShownProcess {
  const { role, pid, memory } = reading;
  return {
    name: processName(reading),
    role,
    pid,
    private_mb: toMb(memory.privateBytes),
    shared_mb: toMb(sharedBytesOf(reading)),
  };
}
