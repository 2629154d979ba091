import { CACHE_SETTINGS } from './cache.js';
import { HTTP_SETTINGS } from './http.js';
import { MEMORY_SETTINGS } from './memory.js';
import { MODEL_SETTINGS } from './models.js';
import { poolSettings } from './pools.js';
import { PROCESS_SETTINGS } from './process.js';
import { RECORDS_SETTINGS } from './records.js';
import { SESSION_SETTINGS } from './sessions.js';
import { type Setting, type SettingContext, SettingError } from './setting.js';
import { WORK_SETTINGS } from './work.js';

/**
 * Every setting. Its environment name is `PLIMSOLL_` and the key in capitals with `_` for `.`
 * (`session.max_users` → `PLIMSOLL_SESSION_MAX_USERS`); on the command line `--set key=value`.
 * A bad value is refused at start with its name and bounds; what is read is then frozen.
 */
export const SETTINGS = {
  ...HTTP_SETTINGS,
  ...MODEL_SETTINGS,
  ...WORK_SETTINGS,
  ...SESSION_SETTINGS,
  ...MEMORY_SETTINGS,
  ...CACHE_SETTINGS,
  ...poolSettings('redis', 'Redis'),
  ...RECORDS_SETTINGS,
  ...poolSettings('database', 'PostgreSQL'),
  ...PROCESS_SETTINGS,
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
