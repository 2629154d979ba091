import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentName, ignoredVariables, readConfig } from '../../../src/settings/config.js';
import { secretKeys, withSecretFiles } from '../../../src/settings/environment/secret-files.js';
import { SettingError } from '../../../src/settings/setting.js';

const MACHINE = { cpus: 2 };
const VALUE = 'redis://:s3same-0penly@127.0.0.1:6379';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-secret-files-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileWith(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

function refusal(environment: Readonly<Record<string, string>>): string {
  try {
    withSecretFiles(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('nothing was refused');
}

describe('secrets in files', () => {
  test.each(secretKeys())('%s is read from the file that …_FILE names', (key) => {
    const isAddress = key.endsWith('.url');
    const value = !isAddress ? 'words of a secret' : VALUE;
    const name = environmentName(key);
    const environment = withSecretFiles({ [`${name}_FILE`]: fileWith(key, `${value}\n`) });
    expect(environment).toEqual({ [name]: value });
    expect(readConfig(environment, {}, MACHINE)[key]).toBe(value);
    expect(ignoredVariables(environment)).toEqual([]);
  });

  test('only line breaks at the end are left out', () => {
    const file = fileWith('spaces', ' a\nb \r\n\n');
    expect(withSecretFiles({ PLIMSOLL_CACHE_SECRET_FILE: file })).toEqual({
      PLIMSOLL_CACHE_SECRET: ' a\nb ',
    });
  });

  test('an empty name counts as not set; other variables stay as they are', () => {
    const environment = { PLIMSOLL_REDIS_URL_FILE: '', PLIMSOLL_KEYS_FILE: '/k', PATH: '/bin' };
    expect(withSecretFiles(environment)).toEqual({ PLIMSOLL_KEYS_FILE: '/k', PATH: '/bin' });
  });

  test('a setting that is no secret has no such variable', () => {
    const environment = { PLIMSOLL_HTTP_PORT_FILE: fileWith('port', '9') };
    expect(withSecretFiles(environment)).toEqual(environment);
    expect(ignoredVariables(environment)[0]).toMatch(/^PLIMSOLL_HTTP_PORT_FILE is ignored/);
  });

  test('every file that cannot be used is named, and what is in it is not', () => {
    const pipe = path.join(folder, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const message = refusal({
      PLIMSOLL_REDIS_URL_FILE: path.join(folder, 'missing'),
      PLIMSOLL_DATABASE_URL_FILE: pipe,
      PLIMSOLL_CACHE_SECRET_FILE: fileWith('empty', '\n'),
      PLIMSOLL_PROVE_KEY_FILE: fileWith('long', 'x'.repeat(65_537)),
      PLIMSOLL_JOBS_URL: VALUE,
      PLIMSOLL_JOBS_URL_FILE: fileWith('both', VALUE),
    });
    expect(message).toMatch(/^PLIMSOLL_REDIS_URL_FILE: ENOENT.*missing/m);
    expect(message).toMatch(/^PLIMSOLL_DATABASE_URL_FILE: .*pipe is no regular file$/m);
    expect(message).toMatch(/^PLIMSOLL_CACHE_SECRET_FILE: .*empty is empty$/m);
    expect(message).toMatch(/^PLIMSOLL_PROVE_KEY_FILE: .*long is larger than 65536 bytes$/m);
    expect(message).toMatch(/^PLIMSOLL_JOBS_URL and PLIMSOLL_JOBS_URL_FILE: set one of them$/m);
    expect(message).not.toContain('s3same-0penly');
    expect(message).not.toContain('xxx');
  });
});
