import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ignoredVariables, readConfig } from '../../../src/settings/config.js';
import { systemdAnalyze } from '../../servers/tools.js';
import { placeOf, textOf } from './judges.js';

const UNITS = ['plimsoll.service', 'plimsoll.socket'] as const;
const service = textOf('deploy/systemd/plimsoll.service');
const socket = textOf('deploy/systemd/plimsoll.socket');
/** Exposure as `systemd-analyze security` counts it, 0 to 10; it calls more than this "medium". */
const MOST_EXPOSURE = 2;

function valuesOf(unit: string, key: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

describe('the systemd units', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-units-'));
    for (const name of UNITS) {
      const text = readFileSync(placeOf(`deploy/systemd/${name}`), 'utf8');
      // systemd looks whether the program is there; here Node is elsewhere.
      writeFileSync(path.join(folder, name), text.replace('/usr/bin/node', process.execPath));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const analyze = (...args: readonly string[]) =>
    spawnSync(systemdAnalyze ?? '', args, { cwd: folder, encoding: 'utf8', timeout: 20_000 });

  test.skipIf(systemdAnalyze === undefined)('have nothing that systemd finds fault with', () => {
    const { status, stderr } = analyze('verify', '--man=no', ...UNITS.map((name) => `./${name}`));
    expect([status, stderr]).toEqual([0, '']);
    const wrong = path.join(folder, 'wrong.service');
    copyFileSync(path.join(folder, 'plimsoll.service'), wrong);
    writeFileSync(wrong, readFileSync(wrong, 'utf8').replace('MemoryMax=2G', 'MemoryMaxx=2G'));
    expect(analyze('verify', '--man=no', './wrong.service').stderr).toContain('MemoryMaxx');
  });

  test.skipIf(systemdAnalyze === undefined)('leave little to whoever gets into the server', () => {
    const { stdout } = analyze('security', '--offline=true', './plimsoll.service');
    const [, exposure = 'none'] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    expect(Number(exposure)).toBeLessThanOrEqual(MOST_EXPOSURE);
  });

  test('run what `npm start` runs', () => {
    const manifest = JSON.parse(textOf('package.json')) as { scripts: { start: string } };
    const [command] = valuesOf(service, 'ExecStart');
    expect(command).toBe(
      manifest.scripts.start.replace(/^exec node /, '/usr/bin/node /opt/plimsoll/'),
    );
    for (const unit of [service, socket]) {
      const [page = ''] = valuesOf(unit, 'Documentation');
      expect(existsSync(placeOf(page.replace('file:/opt/plimsoll/', '')))).toBe(true);
    }
  });

  test('set only what the server knows, and listen where it does', () => {
    const environment = Object.fromEntries(
      valuesOf(service, 'Environment').map((pair) => pair.split('=', 2)),
    ) as Readonly<Record<string, string>>;
    expect(ignoredVariables(environment)).toEqual([]);
    const config = readConfig(environment, {}, { cpus: 2 });
    expect(config.data).toBe(`/var/lib/${valuesOf(service, 'StateDirectory')[0]}`);
    expect(valuesOf(socket, 'ListenStream')).toEqual([
      `${config['http.host']}:${config['http.port']}`,
    ]);
  });

  test('wait for the server to finish before it is killed, and let it end its own workers', () => {
    const config = readConfig({}, {}, { cpus: 2 });
    const longestMs = config['shutdown.drain_ms'] + config['shutdown.grace_ms'];
    const [seconds] = valuesOf(service, 'TimeoutStopSec');
    expect(Number(seconds) * 1000).toBeGreaterThan(longestMs);
    expect(valuesOf(service, 'KillMode')).toEqual(['mixed']);
    expect(valuesOf(service, 'OOMPolicy')).toEqual(['continue']);
  });
});
