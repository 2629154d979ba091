import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COMMIT, HubServer } from '../servers/hub.js';
import { filesOfModel } from './hub-files.js';
import {
  cleanEnvironment,
  exitOf,
  launch,
  MAIN,
  run,
  temporaryFolder,
  until,
} from './processes.js';

const WEIGHTS = 4_000_000;
const HALF = WEIGHTS / 2;
let hub: HubServer;
let home: string;

beforeEach(async () => {
  const extra = ['onnx/model.onnx_data', randomBytes(WEIGHTS)] as const;
  hub = await HubServer.start(new Map([...filesOfModel('control'), extra]));
  home = await temporaryFolder();
});

afterEach(() => hub.stop());

const environment = (hfHome = home) => ({
  ...{ HF_ENDPOINT: hub.endpoint, HF_HOME: hfHome, HF_HUB_OFFLINE: '' },
});
const blobsBelow = (hfHome: string) => path.join(hfHome, 'hub/models--org--name/blobs');
const blobs = () => readdirSync(blobsBelow(home));
/** Whether the half that the hub has sent is on the disk. */
const isHalfThere = (folder: string) =>
  existsSync(folder) &&
  readdirSync(folder)
    .filter((name) => name.endsWith('.incomplete'))
    .some((name) => statSync(path.join(folder, name), { throwIfNoEntry: false })?.size === HALF);

test.each([
  ['pull', ['pull', 'org/name']],
  ['serve', ['serve', '--port', '0', '--model', 'org/name']],
])(
  'Ctrl-C during %s leaves nothing broken, and costs no byte twice',
  async (_what, args) => {
    hub.faults.stopsAfterBytes = HALF;
    const data = path.join(await temporaryFolder(), 'data');
    const child = launch([...args, '--data', data], { environment: environment() });
    const exited = exitOf(child);
    await until('half is there', () => isHalfThere(blobsBelow(home)));
    child.kill('SIGINT');
    expect(await exited).toEqual({ code: 130, signal: null });
    expect(blobs().filter((name) => name.endsWith('.incomplete'))).toHaveLength(1);
    expect(blobs().filter((name) => name.endsWith('.lock'))).toEqual([]);
    hub.goOn();
    const again = await run(['pull', 'org/name'], { environment: environment() });
    expect(again.code, again.stderr).toBe(0);
    const ranges = hub.requestsFor('blob/onnx/model.onnx_data').map(({ range }) => range);
    expect(ranges).toEqual([undefined, `bytes=${HALF}-`]);
    expect(blobs().filter((name) => /incomplete|lock/.test(name))).toEqual([]);
  },
  60_000,
);

const canMount = spawnSync('unshare', ['--mount', 'true']).status === 0;

test.skipIf(!canMount)(
  'a disk that fills up: said with the remedy, and taken up where it stopped',
  async () => {
    hub.faults.stopsAfterBytes = HALF;
    const disk = path.join(home, 'disk');
    mkdirSync(disk);
    const script = [
      'mount -t tmpfs -o size=80m none "$1" || exit 9',
      '"$2" "$3" pull org/name; echo "first: $?"',
      'rm "$1/filler"',
      '"$2" "$3" pull org/name; echo "second: $?"',
    ].join('\n');
    const args = ['--mount', 'sh', '-c', script, 'sh', disk, process.execPath, MAIN];
    const child = spawn('unshare', args, {
      env: cleanEnvironment(environment(disk)),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const exited = exitOf(child);
    // The disk as the process sees it (proc(5)).
    const inside = path.join(`/proc/${child.pid}/root`, disk);
    await until('half is there', () => isHalfThere(blobsBelow(inside)));
    expect(() => {
      for (;;) writeFileSync(path.join(inside, 'filler'), Buffer.alloc(2 ** 18), { flag: 'a' });
    }).toThrow(/ENOSPC/);
    hub.goOn();
    await exited;
    expect(output).toMatch(/model\.onnx_data cannot be written: ENOSPC.*make room and try again/);
    expect(output).toMatch(/first: 1\n/);
    expect(output).toMatch(/second: 0\n/);
    const [first, second, ...more] = hub.requestsFor('blob/onnx/model.onnx_data');
    expect(first?.range).toBeUndefined();
    expect(Number(/^bytes=(\d+)-$/.exec(second?.range ?? '')?.[1])).toBeGreaterThanOrEqual(HALF);
    expect(more).toEqual([]);
  },
  60_000,
);

describe('plimsoll models', () => {
  test('shows where a model comes from, and removes it when told to', async () => {
    const data = path.join(await temporaryFolder(), 'data');
    const plimsoll = (...args: string[]) =>
      run([...args, '--data', data], { environment: environment() });
    expect((await plimsoll('pull', 'org/name')).code).toBe(0);
    const short = COMMIT.slice(0, 12);
    const named = await plimsoll('models', '--model', 'org/name');
    expect(named.stdout).toMatch(
      new RegExp(`org/name: .*from org/name@${short} of the hub, \\d+\\.\\d MB on disk`),
    );
    const others = await plimsoll('models');
    expect(others.stdout).toMatch(/spam: .*from folder \/.*spam, \d+\.\d MB on disk/);
    expect(others.stdout).toContain(`org/name: in the hub's cache (${short}), not served`);

    const unasked = await plimsoll('models', 'rm', 'org/name');
    expect(unasked.code).toBe(1);
    expect(unasked.stderr).toMatch(/add --yes/);
    const shown = await plimsoll('models', 'rm', 'org/name', '--dry-run');
    expect(shown.stdout).toMatch(/\d+\.\d MB come free/);
    expect(shown.code).toBe(0);
    expect(existsSync(blobsBelow(home))).toBe(true);

    mkdirSync(path.join(data, 'mapped/org~name/form'), { recursive: true });
    mkdirSync(path.join(data, 'mapped/org~gone/form'), { recursive: true });
    expect((await plimsoll('models', 'rm', 'org/name', '--yes')).code).toBe(0);
    // Where pulls and removals lock one another out; huggingface_hub has its locks there, too.
    expect(readdirSync(path.join(home, 'hub'))).toEqual(['.locks']);
    expect(readdirSync(path.join(data, 'mapped'))).toEqual(['org~gone']);
    const pruned = await plimsoll('models', 'prune', '--yes');
    expect(pruned.stdout).toContain('org~gone');
    expect(readdirSync(path.join(data, 'mapped'))).toEqual([]);
    const folder = await plimsoll('models', 'rm', 'spam', '--yes');
    expect(folder.stderr).toMatch(/not in the hub's cache/);
    expect(folder.code).toBe(1);
  }, 60_000);
});
