import { CACHE_SETTINGS } from './areas/cache.js';
import { HTTP_SETTINGS } from './areas/http.js';
import { HUB_SETTINGS } from './areas/hub.js';
import { JOB_SETTINGS } from './areas/jobs.js';
import { MEMORY_SETTINGS } from './areas/memory.js';
import { MODEL_SETTINGS } from './areas/models.js';
import { poolSettings } from './areas/pools.js';
import { PROCESS_SETTINGS } from './areas/process.js';
import { RECORDS_SETTINGS } from './areas/records.js';
import { SESSION_SETTINGS } from './areas/sessions.js';
import { WORK_SETTINGS } from './areas/work.js';
import { isServiceLink, nearestName } from './environment/names.js';
import { type Setting, type SettingContext, SettingError } from './setting.js';

/** The settings by area, in the order in which they are shown. */
export const AREAS = {
  'HTTP server and page': HTTP_SETTINGS,
  Models: MODEL_SETTINGS,
  Hub: HUB_SETTINGS,
  Work: WORK_SETTINGS,
  Sessions: SESSION_SETTINGS,
  Memory: MEMORY_SETTINGS,
  Cache: { ...CACHE_SETTINGS, ...poolSettings('redis', 'Redis') },
  'Records and database': { ...RECORDS_SETTINGS, ...poolSettings('database', 'PostgreSQL') },
  'Jobs and fleet': JOB_SETTINGS,
  Process: PROCESS_SETTINGS,
} as const;

/**
 * Every setting. Its environment name is `PLIMSOLL_` and the key in capitals with `_` for `.`
 * (`session.max_users` → `PLIMSOLL_SESSION_MAX_USERS`); on the command line `--set key=value`.
 * A bad value is refused at start with its name and bounds; what is read is then frozen.
 */
export const SETTINGS = {
  ...AREAS['HTTP server and page'],
  ...AREAS.Models,
  ...AREAS.Hub,
  ...AREAS.Work,
  ...AREAS.Sessions,
  ...AREAS.Memory,
  ...AREAS.Cache,
  ...AREAS['Records and database'],
  ...AREAS['Jobs and fleet'],
  ...AREAS.Process,
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
 * Reads every setting: from `overrides` (the command line), else from the environment, else the default. Variables that no
 * setting has are ignored; {@link ignoredVariables} names them.
 *
 * @throws SettingError naming each setting whose value was refused, and each key in `overrides` that no setting has.
 */
export function readConfig(
  environment: Environment,
  overrides: Readonly<Record<string, string>>,
  context: SettingContext,
): Config {
  const problems = unknownKeys(overrides);
  const values: Record<string, unknown> = {};
  for (const key of settingKeys()) {
    const setting: Setting<unknown> = SETTINGS[key];
    const written = overrides[key] ?? ownValue(environmentName(key), environment);
    try {
      values[key] = written === undefined ? setting.fallback(context) : setting.parse(written);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      const reason = setting.secret ? `its value is not ${setting.bounds}` : error.message;
      problems.push(`${key} (${environmentName(key)}): ${reason}`);
    }
  }
  const config = Object.freeze(values) as Config;
  if ((values['http.tls.cert'] === '') !== (values['http.tls.key'] === '')) {
    problems.push('http.tls.cert and http.tls.key: one needs the other');
  }
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

type Environment = Readonly<Record<string, string | undefined>>;

/** The value of one of our variables; undefined if Kubernetes set it for a Service of that name. */
function ownValue(name: string, environment: Environment): string | undefined {
  return isServiceLink(name, environment) ? undefined : environment[name];
}

/**
 * One line for each variable that begins like ours and is ignored: a mistyped one would otherwise have no effect in silence.
 * It may be another program's (Kubernetes sets `PLIMSOLL_PORT` for a Service called plimsoll), so it is no error.
 */
export function ignoredVariables(environment: Environment): readonly string[] {
  const known = settingKeys().map(environmentName);
  const lines: string[] = [];
  for (const name of Object.keys(environment).filter((of) => of.startsWith('PLIMSOLL_'))) {
    if (!known.includes(name)) {
      lines.push(
        `${name} is ignored: no setting has this name, the nearest is ${nearestName(name, known)}`,
      );
    } else if (isServiceLink(name, environment)) {
      lines.push(`${name} is ignored: Kubernetes set it for a Service of this name`);
    }
  }
  return lines;
}

function unknownKeys(overrides: Readonly<Record<string, string>>): string[] {
  return Object.keys(overrides)
    .filter((key) => !Object.hasOwn(SETTINGS, key))
    .map((key) => {
      const nearest = nearestName(key, settingKeys());
      return `${key}: no setting has this name, the nearest is ${nearest}; \`plimsoll config\` lists them all`;
    });
}

/** Shorter limits would stop honest batches on a busy machine. */
const LEAST_BATCH_TIMEOUT_MS = 3000;

/**
 * Longest time of a batch: as set, else a third of the deadline. A batch that is stopped after that leaves its other
 * inputs the time to run again.
 */
export function batchTimeoutMs(config: Config): number {
  const set = config['worker.batch_timeout_ms'];
  return set > 0 ? set : Math.max(LEAST_BATCH_TIMEOUT_MS, config['request.deadline_ms'] / 3);
}

/** Threads of one inference session: as set, else the CPUs divided among the workers. */
export function threadsPerWorker(config: Config, cpus: number): number {
  const threads = config['worker.threads'];
  return threads > 0 ? threads : Math.max(1, Math.floor(cpus / config['worker.count']));
}
