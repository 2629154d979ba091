import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import type { ErrorBody } from '../../src/contract/errors.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import { findCgroup } from '../../src/system/cgroup/cgroup-tree.js';
import {
  argumentsOf,
  childrenOf,
  classify,
  get,
  type LogLine,
  request,
  temporaryFolder,
  until,
} from './harness.js';
import { cleanEnvironment, exitOf, MAIN } from './processes.js';

const MB = 2 ** 20;
const LIMIT_MB = 900;

/** Starts `serve` at the end of a shell script, in which `"$@"` is the program; it is stopped when the test ends. */
async function startUnder(
  script: string,
  options: {
    readonly unshare?: readonly string[];
    readonly set?: Record<string, string>;
    /** Else the data folder has the bundled model's mapped forms already. */
    readonly isUnprepared?: boolean;
  } = {},
) {
  const data = path.join(await temporaryFolder(), 'data');
  mkdirSync(data);
  if (options.isUnprepared !== true) {
    cpSync(inject('preparedForms'), path.join(data, 'mapped'), { recursive: true });
  }
  const always = { 'log.format': 'json', 'models.dtype': 'fp32', 'worker.count': '1' };
  const settings = Object.entries({ ...always, ...options.set });
  const sets = settings.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const serve = [process.execPath, MAIN, 'serve', '--port', '0', '--data', data, ...sets];
  const [command = '/bin/sh', ...args] = [...(options.unshare ?? []), '/bin/sh', '-c', script];
  const child = spawn(command, [...args, data, ...serve], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = exitOf(child);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const address = () => /"address":"(http:[^"]+)"/.exec(printed)?.[1];
  const stop = () => {
    child.kill('SIGTERM');
    return closed;
  };
  onTestFinished(async () => void (await stop()));
  const ended = closed.then(({ code, signal }) => {
    throw new Error(`the server ended (${signal ?? code}) before it listened:\n${printed}`);
  });
  const url = await Promise.race([until('it listens', address, 60_000), ended]);
  ended.catch(() => undefined);
  const lines = printed.split('\n').filter((line) => line.startsWith('{'));
  const logs = lines.map((line) => JSON.parse(line) as LogLine);
  const warnings = logs.filter(({ level }) => level === 40).map(({ msg }) => msg);
  return { url, pid: child.pid ?? 0, data, warnings, stop };
}

/** A real cgroup with a limit, below the nearest one in which we may make some. */
async function makeCgroup() {
  const place = await findCgroup('memory');
  const limit = place?.version === 'v1' ? 'memory.limit_in_bytes' : 'memory.max';
  for (const parent of place?.directories ?? []) {
    const directory = path.join(parent, `plimsoll-test-${process.pid}`);
    try {
      mkdirSync(directory);
      writeFileSync(path.join(directory, limit), String(LIMIT_MB * MB));
      return { directory, version: place?.version };
    } catch {
      // Not ours to change, or no memory controller below it.
      spawnSync('rmdir', [directory]);
    }
  }
  return undefined;
}

const cgroup = await makeCgroup();

test.skipIf(cgroup === undefined)(
  'in a real cgroup: its limit is the total, and what the kernel does at the limit is told',
  async () => {
    if (cgroup === undefined) throw new Error('no cgroup');
    const { directory, version } = cgroup;
    onTestFinished(async () => {
      await until('the cgroup is empty', () => {
        try {
          rmdirSync(directory);
          return true;
        } catch {
          return false;
        }
      });
    });
    const [file, text, told] =
      version === 'v1'
        ? ['memory.oom_control', '1', /^oom_kill_disable is 1 in .*plimsoll-test/]
        : ['memory.oom.group', '1', /^memory\.oom\.group is 1 in .*plimsoll-test/];
    writeFileSync(path.join(directory, file), text);
    const script = `echo $$ > ${directory}/cgroup.procs && exec "$@"`;
    const server = await startUnder(script);
    expect(server.warnings).toContainEqual(expect.stringMatching(told));
    expect((await get<MemoryView>(server, '/v1/memory')).server_total_mb).toBe(LIMIT_MB);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  },
  60_000,
);

const mayMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']);

test.skipIf(mayMount.status !== 0)(
  'a data folder on a real tmpfs is warned of',
  async () => {
    const script = 'mount -t tmpfs none "$0" && exec "$@"';
    const { warnings } = await startUnder(script, { unshare: ['unshare', '--mount'] });
    expect(warnings).toContainEqual(expect.stringMatching(/mapped lies on tmpfs: /));
  },
  60_000,
);

test('memory.system_root: another machine’s files, whose memory.high draws the line', async () => {
  const root = await temporaryFolder();
  const cgroupFolder = path.join(root, 'sys/fs/cgroup');
  mkdirSync(path.join(root, 'proc/self'), { recursive: true });
  mkdirSync(cgroupFolder, { recursive: true });
  const files = {
    'proc/meminfo': 'MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 6291456 kB\n',
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': '13 10 0:29 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n',
    'sys/fs/cgroup/memory.max': `${4000 * MB}\n`,
    'sys/fs/cgroup/memory.high': `${2000 * MB}\n`,
    'sys/fs/cgroup/memory.current': `${500 * MB}\n`,
    'sys/fs/cgroup/memory.stat': `inactive_file ${100 * MB}\nactive_file ${50 * MB}\n`,
    'sys/fs/cgroup/memory.oom.group': '1\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(root, name), text);
  const server = await startUnder('exec "$@"', { set: { 'memory.system_root': root } });
  expect(server.warnings).toContainEqual(expect.stringMatching(/^memory\.oom\.group is 1 /));
  expect(await get<MemoryView>(server, '/v1/memory')).toMatchObject({
    server_total_mb: 2000,
    server_used_mb: 400,
    load_line_mb: 1600,
  });
}, 60_000);

test('with 400 open files it takes the connections that it can, and answers', async () => {
  const server = await startUnder('ulimit -n 400 && exec "$@"');
  const told = /^open files are limited to 400: 208 connections are taken/;
  expect(server.warnings).toContainEqual(expect.stringMatching(told));
  const { port, hostname } = new URL(server.url);
  const sockets = Array.from({ length: 400 }, () => net.connect(Number(port), hostname));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map(
      (socket) => new Promise((resolve) => socket.on('error', resolve).once('connect', resolve)),
    ),
  );
  expect((await classify(server, 'hello')).results).toHaveLength(1);
  expect(await get(server, '/health/ready')).toMatchObject({ status: 'ready' });
}, 60_000);

test('a model is prepared when its peak fits, refused with the figures while it does not; its preparer goes first', async () => {
  const root = await temporaryFolder();
  mkdirSync(path.join(root, 'proc'), { recursive: true });
  const file = path.join(root, 'proc/meminfo');
  const hasAvailable = (mb: number) =>
    writeFileSync(file, `MemTotal: 1048576 kB\nMemFree: 1024 kB\nMemAvailable: ${mb * 1024} kB\n`);
  // The line is 819 MB: 44 MB are left, then 195.
  hasAvailable(249);
  const set = { 'memory.system_root': root, 'memory.reading_interval_ms': '50' };
  const server = await startUnder('exec "$@"', { set, isUnprepared: true });
  const load = () => request<ErrorBody>(server, 'POST', '/v1/models/spam/load');
  const refused = await load();
  expect(refused.status).toBe(507);
  expect(refused.body.error.message).toMatch(
    /takes 5\d\.\d MB.*775\.0 MB of the load line’s 819\.2 MB/,
  );
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  hasAvailable(400);
  await until('the reading shows it', async () => {
    const memory = await get<MemoryView>(server, '/v1/memory');
    return memory.server_used_mb < 700;
  });
  const loading = load();
  const score = await until('a preparer has told how it is to be killed', () =>
    childrenOf(server.pid)
      .filter((pid) => argumentsOf(pid).some((word) => word.includes('"job":"write"')))
      .map((pid) => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim())
      .find((adjusted) => adjusted === '1000'),
  );
  expect(score).toBe('1000');
  expect((await loading).status).toBe(200);
}, 60_000);
