import { REDIS_CACHE_SETTINGS } from './cache.js';
import { poolSettings } from './pools.js';
import { RECORDS_SETTINGS } from './records.js';
import {
  choice,
  integer,
  memoryAmount,
  type Setting,
  type SettingContext,
  SettingError,
  text,
} from './setting.js';

const HOUR_MS = 3_600_000;

/**
 * Every setting. Its environment name is `PLIMSOLL_` and the key in capitals with `_` for `.`
 * (`session.max_users` → `PLIMSOLL_SESSION_MAX_USERS`); on the command line `--set key=value`.
 * A bad value is refused at start with its name and bounds; what is read is then frozen.
 */
export const SETTINGS = {
  'http.host': text({
    default: '127.0.0.1',
    needed: true,
    about: 'Address to listen on. Others can reach the server only when you change this.',
  }),
  'http.port': integer({
    default: 8000,
    min: 0,
    max: 65535,
    about: 'Port to listen on; 0 takes a free one and prints it.',
  }),
  'http.names': text({
    default: '',
    defaultText: 'any; loopback ones only where it listens on loopback',
    about:
      'Names, divided by commas, that requests may give the server in `Host`, beside loopback ones.',
  }),
  'http.body_limit': integer({
    default: 4 * 1024 * 1024,
    min: 1024,
    max: 256 * 1024 * 1024,
    unit: 'bytes',
    about: 'Largest request body.',
  }),
  'http.max_connections': integer({
    default: 1024,
    min: 1,
    max: 65535,
    about: 'Open client connections; more are closed at once.',
  }),
  models: text({
    default: '',
    defaultText: 'the bundled models',
    about: 'Folder whose sub-folders in Hugging Face layout are the models (`--models`).',
  }),
  'models.default': text({
    default: '',
    defaultText: 'spam, or the only model there is',
    about: 'Model that answers when a request names none.',
  }),
  'models.dtype': choice({
    default: 'auto',
    words: ['auto', 'fp32', 'fp16', 'q8'],
    about:
      'Weights that are taken (`--dtype`): `onnx/model.onnx`, `model_fp16.onnx` or `model_quantized.onnx`; auto: what a model has, q8 before fp32 before fp16.',
  }),
  'models.gear': choice({
    default: 'auto',
    words: ['auto', 'cold', 'hot'],
    about:
      'auto: a model that stays busy moves to the hot gear; cold: none does; hot: each does as soon as it is open.',
  }),
  data: text({
    default: '.plimsoll',
    needed: true,
    about: 'Folder for mapped models and the database (`--data`).',
  }),
  'prepare.timeout_ms': integer({
    default: 600_000,
    min: 1000,
    max: HOUR_MS,
    unit: 'ms',
    about: 'Longest time that preparing one model may take.',
  }),
  'worker.count': integer({
    default: ({ cpus }) => Math.max(1, Math.min(8, Math.floor(cpus))),
    defaultText: 'one for each CPU, at most 8',
    min: 1,
    max: 64,
    about: 'Worker processes.',
  }),
  'worker.threads': integer({
    default: 0,
    defaultText: 'CPUs ÷ workers',
    min: 0,
    max: 64,
    about: 'Threads of one inference session; 0 divides the CPUs among the workers.',
  }),
  'worker.start_timeout_ms': integer({
    default: 20_000,
    min: 500,
    max: 600_000,
    unit: 'ms',
    about: 'Longest time that a worker may take to start.',
  }),
  'worker.restart_backoff_ms': integer({
    default: 100,
    min: 10,
    max: 60_000,
    unit: 'ms',
    about: 'Wait before a dead worker is replaced; doubles with each early death, up to 100 times.',
  }),
  'worker.batch_timeout_ms': integer({
    default: 60_000,
    min: 100,
    max: HOUR_MS,
    unit: 'ms',
    about: 'A worker that is silent for this long on one batch is ended and replaced.',
  }),
  'batch.max_items': integer({
    default: 16,
    min: 1,
    max: 1024,
    about: 'Inputs that run together at most.',
  }),
  'batch.max_characters': integer({
    default: 2048,
    min: 256,
    max: 16_777_216,
    unit: 'characters',
    about:
      'Inputs × longest input of one batch; an input is counted only up to what fits its model.',
  }),
  'queue.max_inputs': integer({
    default: 4096,
    min: 1,
    max: 1_000_000,
    about: 'Inputs that wait at most; more are refused with 503.',
  }),
  'queue.user_share': integer({
    default: 50,
    min: 1,
    max: 100,
    unit: '%',
    about:
      'Part of the queue that one user may hold; more is refused with 429. A request of a user who has none waiting is not.',
  }),
  'request.max_inputs': integer({
    default: 1024,
    min: 1,
    max: 100_000,
    about: 'Inputs in one request at most.',
  }),
  'request.deadline_ms': integer({
    default: 30_000,
    min: 10,
    max: HOUR_MS,
    unit: 'ms',
    about: 'An answer that is not ready by then becomes 504.',
  }),
  'session.max_users': integer({
    default: 8,
    min: 1,
    max: 10_000,
    about: 'Users of one session.',
  }),
  'session.idle_timeout_ms': integer({
    default: 30_000,
    min: 50,
    max: 24 * HOUR_MS,
    unit: 'ms',
    about: 'A session that is idle for this long ends by itself.',
  }),
  'session.max_open': integer({
    default: 1000,
    min: 1,
    max: 100_000,
    about: 'Open sessions; more are refused with 503.',
  }),
  'cache.max_size': memoryAmount({
    default: '1%',
    minBytes: 0,
    about: 'Size of the in-process result cache, in bytes or percent of the load line; 0 is off.',
  }),
  'cache.ttl': integer({
    default: 7200,
    min: 1,
    max: 30 * 86_400,
    unit: 's',
    about: 'Age at which a cached result expires.',
  }),
  'cache.secret': text({
    default: '',
    defaultText: 'random for each start',
    secret: true,
    about: 'Key of the HMAC that cache keys are made with; servers that share a cache share it.',
  }),
  'memory.load_line': memoryAmount({
    default: '80%',
    minBytes: 64 * 1024 * 1024,
    about:
      'Memory budget: bytes, or percent of the smaller of the cgroup limit and the machine’s memory.',
  }),
  'memory.reading_interval_ms': integer({
    default: 1000,
    min: 50,
    max: 60_000,
    unit: 'ms',
    about: 'Time between two readings of memory.',
  }),
  'memory.residency_interval_ms': integer({
    default: 250,
    min: 20,
    max: 60_000,
    unit: 'ms',
    about: 'Time between two looks for idle models to unload.',
  }),
  'recycle.after_users': integer({
    default: 50,
    min: 1,
    max: 1_000_000_000,
    unit: 'users',
    about: 'Users after which caches are cleared, models unloaded and workers replaced.',
  }),
  'recycle.after_growth': memoryAmount({
    default: '32M',
    minBytes: 1024 * 1024,
    about:
      'A worker that holds this much more at rest than its own baseline is replaced; a percentage is of the baseline.',
  }),
  'recycle.after_age': integer({
    default: 86_400,
    min: 1,
    max: 365 * 86_400,
    unit: 's',
    about: 'Age at which a worker is replaced.',
  }),
  'cleanup.settle_ms': integer({
    default: 60,
    min: 0,
    max: 10_000,
    unit: 'ms',
    about: 'Longest wait, after a cleanup, for the readings to stop falling.',
  }),
  'receipts.keep': integer({
    default: 10_000,
    min: 10,
    max: 10_000_000,
    about:
      'Receipts that are kept, and as many sessions, events and minutes of readings; the oldest are dropped.',
  }),
  'proofs.keep': integer({
    default: 20,
    min: 1,
    max: 1000,
    about:
      'Proofs asked for over HTTP whose reports are kept in the data folder; the oldest are dropped.',
  }),
  'page.max_viewers': integer({
    default: 32,
    min: 1,
    max: 1000,
    about: 'Open pages that are fed with events; more are refused with 503.',
  }),
  'database.url': text({
    default: '',
    defaultText: 'SQLite in the data folder',
    secret: true,
    about: 'PostgreSQL that keeps the records: `postgres://user:password@host:port/name`.',
  }),
  ...RECORDS_SETTINGS,
  ...poolSettings('database', 'PostgreSQL'),
  ...REDIS_CACHE_SETTINGS,
  ...poolSettings('redis', 'Redis'),
  'shutdown.grace_ms': integer({
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    about: 'Time for running requests to finish after SIGTERM.',
  }),
  'log.level': choice({
    default: 'info',
    words: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    about: 'What is logged.',
  }),
  'log.format': choice({
    default: 'auto',
    words: ['auto', 'json', 'pretty'],
    about: 'JSON lines, or lines for people; auto: for people on a terminal.',
  }),
} as const;

/** The key of a setting. */
export type SettingKey = keyof typeof SETTINGS;

/** Every setting's value. */
export type Config = {
  readonly [K in SettingKey]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never;
};

/** The keys of {@link SETTINGS}, in their order. */
export function settingKeys(): readonly SettingKey[] {
  return Object.keys(SETTINGS).filter((key): key is SettingKey => key in SETTINGS);
}

/** `session.max_users` → `PLIMSOLL_SESSION_MAX_USERS`. */
export function environmentName(key: SettingKey): string {
  return `PLIMSOLL_${key.toUpperCase().replaceAll('.', '_')}`;
}

/**
 * Reads every setting: `overrides` (command line) before the environment before the default.
 *
 * @throws SettingError naming each setting whose value was refused, and `PLIMSOLL_*` variables
 * that no setting has (a mistyped name would otherwise be ignored in silence).
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  overrides: Readonly<Record<string, string>>,
  context: SettingContext,
): Config {
  const problems = [...unknownNames(environment, overrides)];
  const values: Record<string, unknown> = {};
  for (const key of settingKeys()) {
    const setting: Setting<unknown> = SETTINGS[key];
    const written = overrides[key] ?? environment[environmentName(key)];
    try {
      values[key] = written === undefined ? setting.fallback(context) : setting.parse(written);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      const reason = setting.secret ? `its value is not ${setting.bounds}` : error.message;
      problems.push(`${key} (${environmentName(key)}): ${reason}`);
    }
  }
  const config = Object.freeze(values) as Config;
  for (const pool of problems.length > 0 ? [] : (['database', 'redis'] as const)) {
    const { min, max } = poolLimits(config, pool);
    if (min > max) problems.push(`${pool}.pool.min (${min}) is above ${pool}.pool.max (${max})`);
  }
  if (problems.length > 0) throw new SettingError(problems.join('\n'));
  return config;
}

/** The bounds of a pool; times in milliseconds. */
export function poolLimits(config: Config, pool: 'database' | 'redis') {
  return {
    min: config[`${pool}.pool.min`],
    max: config[`${pool}.pool.max`],
    waitMs: config[`${pool}.pool.wait_ms`],
    idleMs: config[`${pool}.pool.idle_ms`],
    lifetimeMs: config[`${pool}.pool.lifetime`] * 1000,
    checkAfterIdleMs: config[`${pool}.pool.check_after_idle_ms`],
  };
}

function* unknownNames(
  environment: Readonly<Record<string, string | undefined>>,
  overrides: Readonly<Record<string, string>>,
): Generator<string> {
  const known = new Set(settingKeys().map(environmentName));
  for (const name of Object.keys(environment)) {
    if (name.startsWith('PLIMSOLL_') && !known.has(name)) {
      yield `${name}: no setting has this name; \`plimsoll config\` lists them all`;
    }
  }
  for (const key of Object.keys(overrides)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      yield `${key}: no setting has this name; \`plimsoll config\` lists them all`;
    }
  }
}

/** Threads of one inference session: as set, else the CPUs divided among the workers. */
export function threadsPerWorker(config: Config, cpus: number): number {
  const threads = config['worker.threads'];
  return threads > 0 ? threads : Math.max(1, Math.floor(cpus / config['worker.count']));
}
