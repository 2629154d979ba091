import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { MemoryTier } from '../cache/memory-tier.js';
import type { RedisTier } from '../cache/redis-tier.js';
import { ResultCache } from '../cache/result-cache.js';
import { messageOf, PlimsollError } from '../errors.js';
import { batchTokensOf } from '../inference/batch-inputs.js';
import { Classifier } from '../inference/classify.js';
import { Dispatcher } from '../inference/dispatcher.js';
import { WorkerPool } from '../inference/workers/pool.js';
import { asSet } from '../memory/gears.js';
import { MemoryManager } from '../memory/manager.js';
import { sharedReceipt } from '../memory/receipt.js';
import { figuresOf } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import { safetensorsCompiler } from '../models/compile/can-compile.js';
import { MappedForms } from '../models/compile/mapped-form.js';
import { Preparer } from '../models/compile/preparer.js';
import type { HubModels } from '../models/hub-models.js';
import { ModelRepository } from '../models/intake/repository.js';
import { ModelLibrary } from '../models/library.js';
import type { ModelPulls } from '../models/pulls.js';
import { loadMark, type NewMark, sessionMark } from '../page/marks.js';
import { EventPublisher } from '../page/publisher.js';
import { PageState } from '../page/state.js';
import type { NamedPool } from '../pools/pool.js';
import { SessionRegistry } from '../sessions/registry.js';
import { ClassificationService } from '../sessions/service.js';
import { shownShared } from '../sessions/shown.js';
import { batchTimeoutMs, type Config, threadsPerWorker } from '../settings/config.js';
import { amountInBytes } from '../settings/setting.js';
import type { Store } from '../store/store.js';
import { withinTime } from '../system/time-limit.js';
import { Archive } from './archive/archive.js';
import { Fleet } from './fleet/fleet.js';
import { hubModelsOf, pullsOf } from './hub-parts.js';
import { Jobs } from './jobs/jobs.js';
import type { Logger } from './log.js';
import { memoryEffects, readChildren } from './memory-effects.js';
import { admitPreparing } from './preparing-admission.js';
import { ProofRuns } from './proof-runs.js';
import { redisOf } from './redis-part.js';
import { replaceForm } from './replaced-form.js';
import { boundsIn, shadowChecks, tellVerdict } from './verdicts/verdicts.js';
import { ModelViews } from './views/model-views.js';
import { WorkerViews } from './views/worker-views.js';

/** Models bundled with the package. */
export const BUNDLED_MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const WORKER_MODULE = fileURLToPath(
  new URL('../inference/workers/worker-main.js', import.meta.url),
);
const PREPARER_MODULE = fileURLToPath(
  new URL('../models/compile/preparer-main.js', import.meta.url),
);
/** Longest wait of a cleanup for a pool to close its connections. */
const SHRINK_MS = 2000;
/** Interval of the page's updates. */
const PAGE_INTERVAL_MS = 1000;

export interface Given {
  readonly config: Config;
  /** Memory of the machine or the cgroup. */
  readonly totalBytes: number;
  /** CPUs available to this process. */
  readonly cpus: number;
  readonly log: Logger;
  readonly store: Store;
  /** ONNX Runtime version and CPU, see `runtimeKey`. */
  readonly runtime: string;
  readonly metrics: Metrics;
  /** Where the database and what waits for it lie; by default the data folder. */
  readonly stateFolder?: string;
  /** Folders that jobs may use; by default `jobs.folders`. */
  readonly folders?: 'any';
  /** Module that workers run; this package's by default. */
  readonly workerModule?: string;
}

/** Builds and joins all parts of the server; starts none. */
export class Assembly {
  readonly archive: Archive;
  readonly repository: ModelRepository;
  readonly forms: MappedForms;
  readonly preparer: Preparer;
  readonly library: ModelLibrary;
  readonly pool: WorkerPool;
  readonly dispatcher: Dispatcher;
  readonly cache: MemoryTier;
  /** Undefined without `redis.url`. */
  readonly redis: RedisTier | undefined;
  readonly results: ResultCache;
  readonly fleet: Fleet;
  readonly memory: MemoryManager;
  readonly sessions: SessionRegistry;
  readonly classifier: Classifier;
  readonly classification: ClassificationService;
  readonly jobs: Jobs;
  readonly views: ModelViews;
  readonly workers: WorkerViews;
  readonly events: EventPublisher;
  readonly proofs: ProofRuns;
  readonly hubModels: HubModels;
  readonly pulls: ModelPulls;
  /** Connection pools to other servers. */
  readonly pools: readonly NamedPool[];
  readonly #given: Given;
  /** Key of the hashes of texts and users. */
  readonly #secret: string;

  constructor(given: Given) {
    const { config, store } = given;
    this.#given = given;
    this.#secret = config['cache.secret'] || randomBytes(32).toString('hex');
    this.redis = redisOf(given, this.#secret, (event) => this.archive.keepEvent(event));
    this.pools = [...store.pools, ...(this.redis === undefined ? [] : [this.redis.pool])];
    const threads = threadsPerWorker(config, given.cpus);
    this.archive = this.#archive();
    const usual = config['hub.models'] === '' ? BUNDLED_MODELS : undefined;
    this.repository = new ModelRepository(
      config.models || usual,
      config['models.dtype'],
      safetensorsCompiler,
      boundsIn(config),
    );
    this.forms = new MappedForms(config.data, given.runtime);
    this.preparer = this.#preparer(threads);
    const { repository, forms, preparer } = this;
    this.library = new ModelLibrary({ repository, forms, preparer });
    this.cache = new MemoryTier({
      maxBytes: amountInBytes(config['cache.max_size'], this.#loadLineBytes(given.totalBytes)),
      ttlSeconds: config['cache.ttl'],
    });
    this.results = new ResultCache(this.cache, this.redis);
    this.pool = this.#pool();
    this.memory = this.#memory();
    this.dispatcher = this.#dispatcher(threads);
    this.fleet = new Fleet({ ...given, redis: this.redis, archive: this.archive });
    this.sessions = this.#sessions();
    this.classifier = this.#classifier();
    this.classification = this.#classification();
    const { library, memory, dispatcher, pool } = this;
    const mostTokens = config['request.max_answer_scores'];
    this.views = new ModelViews({ repository, library, memory, dispatcher, pool, mostTokens });
    this.workers = new WorkerViews(pool, memory);
    this.hubModels = hubModelsOf(this, given);
    this.pulls = pullsOf(this, given);
    this.jobs = new Jobs(this, given);
    this.events = this.#events();
    this.proofs = new ProofRuns({
      data: config.data,
      keep: config['proofs.keep'],
      maxUsers: config['session.max_users'],
      log: (line, facts) => given.log.info(facts, line),
    });
  }

  /** The budget, at most the total. */
  #loadLineBytes(totalBytes: number): number {
    return Math.min(totalBytes, amountInBytes(this.#given.config['memory.load_line'], totalBytes));
  }

  #preparer(threads: number): Preparer {
    const { config, log } = this.#given;
    const { 'batch.max_items': items, 'batch.max_characters': characters } = config;
    return new Preparer({
      forms: this.forms,
      module: PREPARER_MODULE,
      timeoutMs: config['prepare.timeout_ms'],
      threads,
      batchItems: items,
      batchTokens: batchTokensOf(characters),
      // Half of the line: the other texts, models and processes need theirs; and within half of a batch's time.
      rowBudget: () => ({
        bytes: this.#loadLineBytes(this.#given.totalBytes) / 2,
        ms: batchTimeoutMs(config) / 2,
      }),
      admit: (model) => admitPreparing(model, this.memory),
      onMeasured: (model, form) => this.library.remeasured(model, form),
      onVerdict: ({ id }, verdict) => tellVerdict(id, verdict, { ...this, log }),
      verifyBudgetMs: config['verify.budget_ms'],
      onReplaced: (model, reason, form) => replaceForm({ log, ...this }, model, reason, form),
      log: (line, facts) => log.info(facts, line),
    });
  }

  #archive(): Archive {
    const { config, log, store, totalBytes } = this.#given;
    const lineBytes = this.#loadLineBytes(totalBytes);
    return new Archive({
      ...{ store, log, secret: this.#secret },
      dataFolder: this.#given.stateFolder ?? config.data,
      flushMs: config['records.flush_ms'],
      retryMs: config['database.retry_ms'],
      maxBufferBytes: amountInBytes(config['records.max_buffer'], lineBytes),
      maxSpillBytes: amountInBytes(config['records.max_spill'], lineBytes),
      keepText: config['records.keep_text'],
      keepReceipts: config['receipts.keep'],
      keepRecords: config['records.keep'],
      maxAgeMs: config['records.max_age'] * 1000,
    });
  }

  #pool(): WorkerPool {
    const { config, metrics, log } = this.#given;
    return new WorkerPool({
      count: config['worker.count'],
      module: this.#given.workerModule ?? WORKER_MODULE,
      startTimeoutMs: config['worker.start_timeout_ms'],
      replyTimeoutMs: config['worker.reply_timeout_ms'],
      mostPrivateBytes: this.#loadLineBytes(this.#given.totalBytes),
      restartBackoffMs: config['worker.restart_backoff_ms'],
      graceMs: config['shutdown.grace_ms'],
      onChange: () => this.dispatcher.pump(),
      onDeath: () => metrics.workerRestarts.inc(),
      log: (line, facts) => {
        log.warn(facts, line);
        const worker = typeof facts.worker === 'string' ? facts.worker : undefined;
        this.archive.keepEvent({ kind: 'worker', text: line, worker });
      },
      onShift: (_worker, model) => metrics.modelShifts.inc({ model }),
    });
  }

  #memory(): MemoryManager {
    const { config, log } = this.#given;
    const growth = config['recycle.after_growth'];
    return new MemoryManager(
      {
        loadLineBytes: (totalBytes) => this.#loadLineBytes(totalBytes),
        loadOf: config['memory.load_of'],
        systemRoot: config['memory.system_root'],
        readChildren: () => readChildren(this.pool, this.preparer),
        onReading: (reading) => this.archive.keepReading(reading),
        readingIntervalMs: config['memory.reading_interval_ms'],
        residencyIntervalMs: config['memory.residency_interval_ms'],
        settleMs: config['cleanup.settle_ms'],
        recycleAfterUsers: config['recycle.after_users'],
        recycleAfterAgeMs: config['recycle.after_age'] * 1000,
        growthLimitBytes: (baselineBytes) => amountInBytes(growth, baselineBytes),
        heldBytesOf: (model) => this.library.heldBytesOf(model),
        hotGearOf: (model) => asSet(config['models.gear'], this.library.hotGearOf(model)),
        onError: (failure, error) => log.error({ err: error }, failure),
      },
      memoryEffects(this, this.#given),
    );
  }

  #dispatcher(threads: number): Dispatcher {
    const { config, metrics, log } = this.#given;
    const shadows = shadowChecks(this, this.#given, threads);
    return new Dispatcher({
      pool: this.pool,
      onAnswered: (ready, count, input) => shadows.answered(ready, count, input),
      limits: { maxItems: config['batch.max_items'], maxSize: config['batch.max_characters'] },
      threads,
      maxWaiting: config['queue.max_inputs'],
      maxWaitingOfUser: Math.ceil((config['queue.max_inputs'] * config['queue.user_share']) / 100),
      deadlineMs: config['request.deadline_ms'],
      jobShare: config['jobs.min_share'] / 100,
      batchTimeoutMs: batchTimeoutMs(config),
      admission: this.memory.admission,
      onArrival: (model) => this.memory.ledger.arrived(model),
      onRefusal: ({ what, model, reason }) => {
        metrics.refusals.inc({ what });
        const line = `a ${what} is refused for a while`;
        log.warn({ model, reason }, line);
        this.archive.keepEvent({ kind: 'refusal', text: `${line}: ${reason}`, model });
      },
      onBatch: (batch) => metrics.ranBatch(batch),
      onLoad: (model, worker, loadMs, gear) => {
        // Reload times are of the cold gear; the cost of a shift is measured separately.
        if (gear === 'cold') this.memory.ledger.loaded(model, loadMs);
        metrics.modelLoads.inc({ model });
        metrics.loadSeconds.observe(loadMs / 1000);
        log.debug({ model, worker: worker.id, loadMs, gear }, 'model loaded');
        this.#tell(loadMark(model, worker.id, loadMs));
      },
    });
  }

  #sessions(): SessionRegistry {
    const { config, metrics, log } = this.#given;
    return new SessionRegistry({
      maxUsers: config['session.max_users'],
      maxOpen: config['session.max_open'],
      idleTimeoutMs: config['session.idle_timeout_ms'],
      admit: () => {
        if (!this.memory.holding.has('refuse_sessions')) return;
        const message = 'memory is close to the load line: no new sessions until it falls';
        throw new PlimsollError('MEMORY_PRESSURE', message, { retryAfterSeconds: 5 });
      },
      privateBytes: () => {
        const { last } = this.memory.reader;
        return last && figuresOf(last).privateBytes;
      },
      cleanup: async ({ id, endCause, job }, stillUsed, isAwaited) => {
        await this.#shrinkPools(id);
        const cause = `session ${endCause}`;
        return this.memory.cleanup({ cause, session: id, job, stillUsed, isAwaited });
      },
      shareReceipt: (receipt, { id, endCause, job }) => {
        const cause = `session ${endCause}, cleaned up together with ${receipt.session}`;
        const own = sharedReceipt(receipt, { cause, session: id, job });
        this.archive.keepReceipt(own);
        return own;
      },
      onChange: (session) => {
        if (session.state === 'ended') {
          metrics.sessionsEnded.inc({ cause: session.endCause ?? 'unknown' });
          this.events.mark(sessionMark(session));
        }
        const { directory } = this.fleet;
        if (session.shared === undefined || directory === undefined) {
          this.archive.keepSession(session);
        } else this.archive.keepShared(shownShared(session, directory));
      },
      directory: this.fleet.directory,
      onUser: (session, user) => {
        metrics.users.inc();
        this.archive.keepUser(session, user);
        this.memory.countUser();
        this.pool.countUser();
      },
      onError: (line, error) => log.error({ err: error }, line),
    });
  }

  /** Shows a mark on open pages and records it. */
  #tell(mark: NewMark): void {
    this.events.mark(mark);
    this.archive.keepEvent(mark);
  }

  /** Shrinks the connection pools to their minimum after a session. */
  async #shrinkPools(session: string): Promise<void> {
    for (const pool of this.pools) {
      const closed = await withinTime(
        pool.shrink(),
        SHRINK_MS,
        `shrinking pool ${pool.figures.name}`,
      ).catch((error: unknown) => messageOf(error));
      const { name, open, idle, inUse, waiting, recycled, broken, waitMsMean, waitMsMax } =
        pool.figures;
      const facts = { session, pool: name, closed, open, idle, inUse, waiting, recycled, broken };
      this.#given.log.info({ ...facts, waitMsMean, waitMsMax }, 'pool shrunk after a session');
    }
  }

  #events(): EventPublisher {
    const { config, log } = this.#given;
    const { memory, sessions, dispatcher, views, workers, pools, results: cache, pulls } = this;
    const jobs = { overview: () => this.jobs.service.overview() };
    const { fleet } = this;
    const recycleAfterUsers = config['recycle.after_users'];
    const of = { memory, sessions, dispatcher, views, workers, pools, cache, pulls, fleet, jobs };
    const divides = config['memory.load_of'] === 'server';
    const parts = { ...of, recycleAfterUsers, divides };
    const state = new PageState(parts);
    return new EventPublisher({
      maxViewers: config['page.max_viewers'],
      intervalMs: PAGE_INTERVAL_MS,
      state: () => state.now(),
      onError: (line, error) => log.error({ err: error }, line),
    });
  }

  #classifier(): Classifier {
    const { config, metrics } = this.#given;
    const { library, dispatcher, results: cache } = this;
    return new Classifier({
      ...{ library, dispatcher, cache, metrics, secret: this.#secret },
      maxAnswerScores: config['request.max_answer_scores'],
      maxRows: config['request.max_inputs'],
    });
  }

  #classification(): ClassificationService {
    const { config, metrics } = this.#given;
    const { classifier, repository, archive } = this;
    return new ClassificationService({
      ...{ registry: this.sessions, classifier, repository },
      defaultModel: config['models.default'],
      onAnswer: (answered) => {
        metrics.models.answered(answered);
        return archive.keepAnswer(answered);
      },
      onFailure: (model, tookMs) => metrics.models.failed(model, tookMs),
      admit: () => {
        if (!this.memory.holding.has('refuse_requests')) return;
        const message = 'memory is over the load line: no requests until it falls';
        throw new PlimsollError('MEMORY_PRESSURE', message, { retryAfterSeconds: 5 });
      },
    });
  }
}
