import { describe, expect, test } from 'vitest';
import {
  environmentName,
  ignoredVariables,
  poolLimits,
  readConfig,
  SETTINGS,
  settingKeys,
  threadsPerWorker,
} from '../../../src/settings/config.js';
import { type Setting, SettingError } from '../../../src/settings/setting.js';

const MACHINE = { cpus: 2 };

function refusal(
  environment: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, string>> = {},
): string {
  try {
    readConfig(environment, overrides, MACHINE);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('nothing was refused');
}

describe('every setting', () => {
  test.each(settingKeys())('%s is named, explained and bounded', (key) => {
    const setting: Setting<unknown> = SETTINGS[key];
    expect(key).toMatch(/^[a-z]+(\.[a-z0-9_]+){0,2}$/);
    expect(environmentName(key)).toMatch(/^PLIMSOLL_[A-Z0-9_]+$/);
    expect(setting.about).toMatch(/\.$/);
    expect(setting.bounds).not.toBe('');
    expect(setting.fallbackText).not.toBe('');
  });

  test('has an environment name of its own', () => {
    const names = settingKeys().map(environmentName);
    expect(new Set(names).size).toBe(names.length);
  });

  test('that is a number has a default within its bounds, on the smallest machine and a large one', () => {
    for (const cpus of [0.1, 1, 2, 1000]) {
      const config = readConfig({}, {}, { cpus });
      for (const key of settingKeys()) {
        const setting: Setting<unknown> = SETTINGS[key];
        const value = config[key];
        if (typeof value === 'number') expect(setting.parse(String(value)), key).toBe(value);
      }
    }
  });

  test('that names the address or the data folder cannot be emptied', () => {
    // Listening on '' is listening on every address; a data folder '' is the current one.
    expect(refusal({ PLIMSOLL_HTTP_HOST: '' })).toContain('http.host (PLIMSOLL_HTTP_HOST)');
    expect(refusal({}, { data: '' })).toContain('data (PLIMSOLL_DATA)');
  });
});

describe('reading', () => {
  test('takes the defaults of the design', () => {
    const config = readConfig({}, {}, MACHINE);
    expect(config['http.host']).toBe('127.0.0.1');
    expect(config['session.max_users']).toBe(8);
    expect(config['memory.load_line']).toEqual({ kind: 'percent', percent: 80 });
    expect(config['cache.ttl']).toBe(7200);
    expect(config['worker.count']).toBe(2);
  });

  test('the command line goes before the environment, and that before the default', () => {
    const environment = { PLIMSOLL_HTTP_PORT: '9001', PLIMSOLL_SESSION_MAX_USERS: '4' };
    const config = readConfig(environment, { 'http.port': '9002' }, MACHINE);
    expect(config['http.port']).toBe(9002);
    expect(config['session.max_users']).toBe(4);
    expect(config['batch.max_items']).toBe(16);
  });

  test('a value on the command line hides a bad one in the environment', () => {
    const config = readConfig({ PLIMSOLL_HTTP_PORT: 'x' }, { 'http.port': '1' }, MACHINE);
    expect(config['http.port']).toBe(1);
  });

  test('what is read is frozen', () => {
    const config = readConfig({}, {}, MACHINE);
    expect(Object.isFrozen(config)).toBe(true);
    expect(() => Object.assign(config, { 'http.port': 1 })).toThrow(TypeError);
  });

  test('other variables are none of our business', () => {
    expect(() =>
      readConfig({ PATH: '/bin', plimsoll_x: '1', PLIMSOLL: '1' }, {}, MACHINE),
    ).not.toThrow();
  });
});

describe('refusing', () => {
  test('names the setting, its variable, its value, its bounds and its unit', () => {
    expect(refusal({ PLIMSOLL_REQUEST_DEADLINE_MS: '5' })).toBe(
      'request.deadline_ms (PLIMSOLL_REQUEST_DEADLINE_MS): "5" is not a whole number from 10 to 3600000 (ms)',
    );
  });

  test('names every bad setting at once', () => {
    const message = refusal({ PLIMSOLL_HTTP_PORT: '-1' }, { 'log.level': 'loud' });
    expect(message.split('\n')).toHaveLength(2);
    expect(message).toContain('http.port');
    expect(message).toContain('"loud" is not one of trace, debug');
  });

  test.each(['sesion.max_users', 'toString', 'constructor', '__proto__', ''])(
    'the unknown key %j of the command line, with the nearest one',
    (key) => {
      const message = refusal({}, Object.fromEntries([[key, '1']]));
      expect(message).toMatch(/^.*: no setting has this name, the nearest is [a-z_.]+; /);
      expect(message).toContain(`${key}: `);
    },
  );

  test('names the key that was meant', () => {
    expect(refusal({}, { 'sesion.max_users': '1' })).toContain('the nearest is session.max_users;');
  });

  test('never shows a secret', () => {
    const secrets = settingKeys().filter((key) => SETTINGS[key].secret);
    expect(secrets).toContain('cache.secret');
    for (const key of secrets) {
      const message = refusal({ [environmentName(key)]: 'hunter2\0' });
      expect(message).toContain(`${key} (${environmentName(key)}): its value is not`);
      expect(message).not.toContain('hunter2');
    }
  });
});

describe('variables that are ignored', () => {
  /** What Kubernetes sets in every pod of a namespace that has a Service called `plimsoll`. */
  const SERVICE = {
    PLIMSOLL_PORT: 'tcp://10.0.0.1:80',
    PLIMSOLL_PORT_80_TCP: 'tcp://10.0.0.1:80',
    PLIMSOLL_PORT_80_TCP_ADDR: '10.0.0.1',
    PLIMSOLL_PORT_80_TCP_PORT: '80',
    PLIMSOLL_PORT_80_TCP_PROTO: 'tcp',
    PLIMSOLL_SERVICE_HOST: '10.0.0.1',
    PLIMSOLL_SERVICE_PORT: '80',
    PLIMSOLL_SERVICE_PORT_HTTP: '80',
  };

  test('are no error, and each is named with the nearest known one', () => {
    expect(readConfig(SERVICE, {}, MACHINE)).toEqual(readConfig({}, {}, MACHINE));
    const lines = ignoredVariables(SERVICE);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(Object.keys(SERVICE));
    for (const line of lines)
      expect(line).toMatch(/is ignored: .*the nearest is PLIMSOLL_[A-Z_]+$/);
    expect(lines[0]).toMatch(/PLIMSOLL_HTTP_PORT$/);
  });

  test('may have the name of a setting: a Service called plimsoll-http', () => {
    const environment = {
      PLIMSOLL_HTTP_PORT: 'tcp://10.0.0.1:80',
      PLIMSOLL_HTTP_SERVICE_HOST: '10.0.0.1',
    };
    expect(readConfig(environment, {}, MACHINE)['http.port']).toBe(8000);
    expect(ignoredVariables(environment)[0]).toMatch(/^PLIMSOLL_HTTP_PORT is ignored: Kubernetes/);
  });

  test('are none of those that are read, nor of those that do not begin like ours', () => {
    const own = Object.fromEntries(settingKeys().map((key) => [environmentName(key), '1']));
    expect(ignoredVariables({ ...own, PATH: '/bin', plimsoll_x: '1', PLIMSOLL: '1' })).toEqual([]);
  });
});

test.each([
  ['0', '2', 4, 2],
  ['0', '3', 4, 1],
  ['0', '8', 0.5, 1],
  ['6', '2', 4, 6],
])('threads %s, workers %s on %d CPUs: %d for each session', (threads, count, cpus, expected) => {
  const config = readConfig({}, { 'worker.threads': threads, 'worker.count': count }, { cpus });
  expect(threadsPerWorker(config, cpus)).toBe(expected);
});

describe('the pools', () => {
  test.each(['database', 'redis'])('%s: a minimum above the maximum is refused', (pool) => {
    const settings = { [`${pool}.pool.min`]: '4', [`${pool}.pool.max`]: '3' };
    expect(refusal({}, settings)).toContain(`${pool}.pool.min (4) is above ${pool}.pool.max (3)`);
  });

  test('bounds are read in milliseconds', () => {
    const config = readConfig({}, { 'database.pool.lifetime': '3' }, MACHINE);
    expect(poolLimits(config, 'database').lifetimeMs).toBe(3000);
  });
});
