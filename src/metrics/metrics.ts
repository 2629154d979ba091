import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { DeferredCounter, RequestMetrics } from './deferred-metrics.js';
import { JobMetrics } from './job-metrics.js';
import { ModelStatistics } from './model-statistics.js';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Figures of a pool and their metrics; names in `_total` are counters. */
const POOL_GAUGES = [
  ['open', 'plimsoll_pool_open', 'Open connections'],
  ['idle', 'plimsoll_pool_idle', 'Idle connections'],
  ['inUse', 'plimsoll_pool_in_use', 'Connections in use'],
  ['waiting', 'plimsoll_pool_waiting', 'Callers that wait for a connection'],
  ['opened', 'plimsoll_pool_opened_total', 'Connections that were opened'],
  ['recycled', 'plimsoll_pool_recycled_total', 'Connections that were replaced for their age'],
  ['broken', 'plimsoll_pool_broken_total', 'Connections that broke'],
  ['timeouts', 'plimsoll_pool_timeouts_total', 'Waits that exceeded the limit'],
  ['checkouts', 'plimsoll_pool_checkouts_total', 'Checkouts of connections'],
  ['waitSeconds', 'plimsoll_pool_wait_seconds_total', 'Total time spent waiting for connections'],
] as const;
type PoolFigure = (typeof POOL_GAUGES)[number][0];

/** What failed in Redis; all are counters. */
const REDIS_COUNTS = [
  ['failures', 'plimsoll_redis_failures_total', 'Requests that got no answer from Redis in time'],
  [
    'unreadable',
    'plimsoll_redis_unreadable_total',
    'Values that were damaged or not ours for their key, and were removed',
  ],
  ['dropped', 'plimsoll_redis_dropped_writes_total', 'Results that were not written to Redis'],
] as const;

/** What becomes of records; names in `_total` are counters. */
const RECORD_FIGURES = [
  ['bufferedRows', 'plimsoll_records_buffered', 'Records that wait in memory'],
  [
    'spilledBytes',
    'plimsoll_records_spilled_bytes',
    'Size of the records in the file that wait for the database',
  ],
  [
    'written',
    'plimsoll_records_written_total',
    'Records written to the database, repeats included',
  ],
  ['spilled', 'plimsoll_records_spilled_total', 'Records that were written to the file first'],
  ['lost', 'plimsoll_records_lost_total', 'Records that are lost for good'],
] as const;

/** Where gauges are read from when metrics are scraped. */
export interface GaugeSources {
  readonly memory: () => {
    readonly serverTotalBytes: number;
    readonly serverUsedBytes: number;
    readonly loadLineBytes: number;
    readonly pressure: 'normal' | 'elevated' | 'critical';
    readonly processes: readonly {
      readonly name: string;
      readonly privateBytes: number;
      readonly pssBytes: number;
    }[];
  };
  readonly waitingInputs: () => number;
  readonly openSessions: () => number;
  readonly usersSinceRecycle: () => number;
  readonly cache: () => { readonly entries: number; readonly bytes: number };
  /** Undefined without Redis. */
  readonly redis: () =>
    | {
        readonly state: 'closed' | 'open' | 'trying';
        readonly failures: number;
        readonly unreadable: number;
        readonly dropped: number;
      }
    | undefined;
  readonly records: () => Readonly<Record<(typeof RECORD_FIGURES)[number][0], number>> & {
    /** Why the database accepts none; empty while it does. */
    readonly database: string;
  };
  readonly loadedModels: () => number;
  readonly pools: () => readonly (Readonly<Record<PoolFigure, number>> & {
    readonly name: string;
  })[];
}

/** All metrics. Each is named here and counted in one place. */
export class Metrics {
  readonly registry = new Registry();
  /** What is counted of each model apart. */
  readonly models = new ModelStatistics();

  readonly requests = new RequestMetrics(
    this.registry,
    { name: 'plimsoll_requests_total', help: 'Requests answered' },
    {
      name: 'plimsoll_request_duration_seconds',
      help: 'Time from the request’s arrival to its answer',
      buckets: SECONDS,
    },
  );
  readonly inputs = new DeferredCounter(
    this.registry,
    'plimsoll_inputs_total',
    'Inputs classified',
    'model',
  );
  readonly taskRequests = new DeferredCounter(
    this.registry,
    'plimsoll_task_requests_total',
    'Requests that a model has answered, under every protocol',
    'task',
  );
  readonly taskRows = new DeferredCounter(
    this.registry,
    'plimsoll_task_rows_total',
    'Rows of these requests: of a zero-shot request one for each text and label',
    'task',
  );
  readonly cacheHits = new DeferredCounter(
    this.registry,
    'plimsoll_cache_hits_total',
    'Inputs answered from the cache',
    'tier',
  );
  readonly cacheMisses = this.#counter(
    'plimsoll_cache_misses_total',
    'Inputs that were computed',
    [],
  );
  readonly redisLookupSeconds = this.#histogram(
    'plimsoll_redis_lookup_seconds',
    'Duration of one read from Redis, shared by several requests',
    [],
    SECONDS,
  );
  readonly batches = this.#counter('plimsoll_batches_total', 'Batches run', ['model']);
  readonly batchItems = this.#histogram(
    'plimsoll_batch_items',
    'Inputs of one batch',
    [],
    [1, 2, 4, 8, 16, 32, 64, 128],
  );
  readonly batchSeconds = this.#histogram(
    'plimsoll_batch_run_seconds',
    'Time that a batch ran in ONNX Runtime',
    ['model'],
    SECONDS,
  );
  readonly jobs = new JobMetrics(this.registry);
  readonly refusals = this.#counter(
    'plimsoll_refusals_total',
    'Texts and models that are refused for a while because they ended workers or took far too long',
    ['what'],
  );
  readonly keyRefusals = this.#counter(
    'plimsoll_key_refusals_total',
    'Requests refused for their key: missing, unknown, expired, revoked, scope, limit, or attempts from one address',
    ['reason'],
  );
  readonly stalledAnswers = this.#counter(
    'plimsoll_stalled_answers_total',
    'Connections ended because the client took nothing of its answer for 30 s or more',
    [],
  );
  readonly retriedBatches = this.#counter(
    'plimsoll_batches_retried_total',
    'Batches that ran again after their worker died',
    [],
  );
  readonly modelLoads = this.#counter('plimsoll_model_loads_total', 'Models opened in a worker', [
    'model',
  ]);
  readonly loadSeconds = this.#histogram(
    'plimsoll_model_load_seconds',
    'Time to open a model in a worker',
    [],
    SECONDS,
  );
  readonly modelUnloads = this.#counter(
    'plimsoll_model_unloads_total',
    'Models released in a worker',
    ['model'],
  );
  readonly modelShifts = this.#counter(
    'plimsoll_model_shifts_total',
    'Models moved to the hot gear in a worker',
    ['model'],
  );
  readonly workerRestarts = this.#counter(
    'plimsoll_worker_restarts_total',
    'Workers that died and were replaced',
    [],
  );
  readonly cleanups = this.#counter('plimsoll_cleanups_total', 'Cleanups that ran', []);
  readonly recycles = this.#counter(
    'plimsoll_recycles_total',
    'Recycles: of everything, or of one worker',
    [],
  );
  readonly workersRecycled = this.#counter(
    'plimsoll_worker_recycles_total',
    'Workers that were replaced by a recycle',
    [],
  );
  readonly receiptSeconds = this.#histogram(
    'plimsoll_receipt_duration_seconds',
    'Duration of cleanups, unloads, evictions, recycles and shifts',
    ['kind'],
    SECONDS,
  );
  readonly freedBytes = this.#counter(
    'plimsoll_freed_private_bytes_total',
    'Private bytes that came back, by what brought them (steps that freed nothing add nothing)',
    ['kind'],
  );
  readonly sessionsEnded = this.#counter('plimsoll_sessions_ended_total', 'Sessions that ended', [
    'cause',
  ]);
  readonly users = this.#counter('plimsoll_users_total', 'Users of sessions', []);

  constructor() {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
  }

  /** Counts a batch that was answered. */
  ranBatch(batch: {
    readonly model: string;
    readonly items: number;
    readonly tokenizeMs: number;
    readonly runMs: number;
    readonly retried: boolean;
  }): void {
    const { model, items, runMs, retried } = batch;
    this.models.ran(model, items, batch);
    this.batches.inc({ model });
    this.batchItems.observe(items);
    this.batchSeconds.observe({ model }, runMs / 1000);
    if (retried) this.retriedBatches.inc();
  }

  /** Registers the gauges; they are read when metrics are scraped. */
  observe(sources: GaugeSources): void {
    const { memory, cache } = sources;
    this.#gauge('plimsoll_memory_total_bytes', 'Memory of the machine or cgroup', (gauge) =>
      gauge.set(memory().serverTotalBytes),
    );
    this.#gauge('plimsoll_memory_used_bytes', 'Memory in use', (gauge) =>
      gauge.set(memory().serverUsedBytes),
    );
    this.#gauge('plimsoll_memory_load_line_bytes', 'The load line', (gauge) =>
      gauge.set(memory().loadLineBytes),
    );
    this.#gauge('plimsoll_memory_pressure', '0 normal, 1 elevated, 2 critical', (gauge) =>
      gauge.set(['normal', 'elevated', 'critical'].indexOf(memory().pressure)),
    );
    for (const [name, of] of [
      ['private', 'privateBytes'],
      ['proportional', 'pssBytes'],
    ] as const) {
      const metric = `plimsoll_process_${name}_bytes`;
      this.#gauge(
        metric,
        `The ${name} memory of each process`,
        (gauge) => {
          gauge.reset();
          for (const process of memory().processes)
            gauge.set({ process: process.name }, process[of]);
        },
        ['process'],
      );
    }
    this.#gauge('plimsoll_inputs_waiting', 'Inputs that wait for a worker', (gauge) =>
      gauge.set(sources.waitingInputs()),
    );
    this.#gauge('plimsoll_sessions_open', 'Open sessions', (gauge) =>
      gauge.set(sources.openSessions()),
    );
    this.#gauge('plimsoll_users_since_recycle', 'Users since the last recycle', (gauge) =>
      gauge.set(sources.usersSinceRecycle()),
    );
    this.#gauge('plimsoll_cache_entries', 'Entries of the in-process cache', (gauge) =>
      gauge.set(cache().entries),
    );
    this.#gauge('plimsoll_cache_bytes', 'Bytes of the in-process cache', (gauge) =>
      gauge.set(cache().bytes),
    );
    this.#observeRedis(sources.redis);
    this.#observePools(sources.pools);
    this.#observeRecords(sources.records);
    this.#gauge('plimsoll_models_loaded', 'Models that some worker holds open', (gauge) =>
      gauge.set(sources.loadedModels()),
    );
  }

  /** Adds the gauge of lines that the log's output did not take. */
  observeLog(lostLines: () => number): void {
    this.#gauge('plimsoll_log_lines_lost_total', 'Lines of the log that were dropped', (gauge) =>
      gauge.set(lostLines()),
    );
  }

  #observeRedis(redis: GaugeSources['redis']): void {
    if (redis() === undefined) return;
    this.#gauge('plimsoll_redis_up', '1 while Redis is used, 0 while it is away', (gauge) =>
      gauge.set(redis()?.state === 'closed' ? 1 : 0),
    );
    for (const [figure, metric, help] of REDIS_COUNTS) {
      this.#gauge(metric, help, (gauge) => gauge.set(redis()?.[figure] ?? 0));
    }
  }

  #observeRecords(records: GaugeSources['records']): void {
    this.#gauge('plimsoll_database_up', '1 while the database accepts records', (gauge) =>
      gauge.set(records().database === '' ? 1 : 0),
    );
    for (const [figure, metric, help] of RECORD_FIGURES) {
      this.#gauge(metric, help, (gauge) => gauge.set(records()[figure]));
    }
  }

  #observePools(pools: GaugeSources['pools']): void {
    for (const [figure, metric, help] of POOL_GAUGES) {
      const collect = (gauge: Gauge<string>) => {
        for (const pool of pools()) gauge.set({ pool: pool.name }, pool[figure]);
      };
      this.#gauge(metric, `${help}, by pool`, collect, ['pool']);
    }
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }

  #gauge(
    name: string,
    help: string,
    collect: (gauge: Gauge<string>) => void,
    labelNames: readonly string[] = [],
  ): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        collect(this);
      },
    });
  }
}
