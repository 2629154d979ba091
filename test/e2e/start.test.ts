import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { JobView } from '../../src/contract/jobs.js';
import { encode } from '../../src/jobs/formats/writing/encode.js';
import { classify, get, isRunning, post, run, temporaryFolder, until } from './harness.js';
import { cleanEnvironment, exitOf, MAIN } from './processes.js';
import { isWorker, npmWays, PLAIN_WAYS, type Started, startIn, untilGone } from './starts.js';

const PROBE = fileURLToPath(new URL('../fixtures/heap-probe.mjs', import.meta.url));
const MB = 2 ** 20;
/** Two halves of 1 MB. */
const YOUNG_BYTES = 2 * MB;
const REQUESTS = 100;
/** npx alone may take most of it on a busy machine. */
const LIMIT_MS = 240_000;
const WAYS = [...PLAIN_WAYS, ...npmWays()];

/** Each way as a test; one that cannot be had is skipped, with the reason in its name. */
function eachWay(what: string, body: (way: (typeof PLAIN_WAYS)[number]) => Promise<void>): void {
  for (const way of WAYS) {
    if ('reason' in way) test.skip(`${way.name}: ${what} (${way.reason})`, () => undefined);
    else test(`${way.name}: ${what}`, () => body(way), LIMIT_MS);
  }
}

/** Size of the young generation of the server's main process. */
async function youngBytes({ serverPid }: Started, folder: string): Promise<number> {
  process.kill(serverPid, 'SIGUSR2');
  const file = path.join(folder, String(serverPid));
  await until('the probe has answered', () => existsSync(file));
  return Number(readFileSync(file, 'utf8'));
}

/** Starts with the probe, and makes enough garbage for V8 to let the young generation grow, if it may. */
async function startProbed(way: (typeof PLAIN_WAYS)[number], options = '') {
  const folder = await temporaryFolder();
  const started = await startIn(way, {
    HEAP_PROBE: folder,
    NODE_OPTIONS: `--import=${PROBE} ${options}`,
  });
  for (let turn = 0; turn < REQUESTS; turn += 1) await get(started, '/openapi.json');
  return { ...started, youngBytes: await youngBytes(started, folder) };
}

test('nothing but the program itself sets it up', () => {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  expect(JSON.parse(manifest)).toMatchObject({
    scripts: { start: 'exec node dist/main.js serve' },
  });
  expect(readFileSync(MAIN, 'utf8').split('\n')[0]).toBe('#!/usr/bin/env node');
});

test('the young generation stays small when a thread has come up, as for a job that reads Parquet', async () => {
  const folder = await temporaryFolder();
  const [way] = PLAIN_WAYS;
  if (way === undefined) throw new Error('there is no way to start it');
  const started = await startIn(way, {
    HEAP_PROBE: folder,
    NODE_OPTIONS: `--import=${PROBE}`,
    PLIMSOLL_JOBS_FOLDERS: folder,
  });
  const rows = Array.from({ length: 300 }, (_, n) => ({ text: `mail ${n % 3} `.repeat(300) }));
  const format = { format: 'parquet', compression: 'none' } as const;
  const columns = [{ name: 'text', type: 'text' }] as const;
  const input = path.join(folder, 'mails.parquet');
  await writeFile(input, encode(inOneSlice(rows), { ...format, columns }));
  const asked = { input, output: path.join(folder, 'out'), model: 'spam' };
  const { id } = await post<JobView>(started, '/v1/jobs', asked);
  await until('the job is done', async () => {
    const { state, error } = await get<JobView>(started, `/v1/jobs/${id}`);
    expect(error).toBeNull();
    return state === 'done';
  });
  for (let turn = 0; turn < REQUESTS; turn += 1) await get(started, '/openapi.json');
  expect(await youngBytes(started, folder)).toBe(YOUNG_BYTES);
  started.starter.kill('SIGTERM');
  await started.closed;
}, 240_000);

async function* inOneSlice<T>(rows: readonly T[]) {
  yield rows;
}

describe('the server', () => {
  eachWay('has a small young generation; SIGTERM ends it with its cleanup', async (way) => {
    const { starter, pids, logs, closed, youngBytes: bytes } = await startProbed(way);
    expect(bytes).toBe(YOUNG_BYTES);
    expect(pids.filter(isWorker).length).toBeGreaterThan(0);
    starter.kill('SIGTERM');
    const exit = await closed;
    // npx ends when its shell does, and cannot tell how the server ended.
    if (!way.name.startsWith('npx')) expect(exit).toEqual({ code: 0, signal: null });
    expect(logs.find(({ signal }) => signal === 'SIGTERM')?.msg).toMatch(/^stopping/);
    expect(logs.some(({ msg }) => msg === 'stopped')).toBe(true);
    await untilGone(pids);
  });

  eachWay('leaves no process behind when the started one is killed', async (way) => {
    const { starter, pids, logs, closed } = await startIn(way);
    starter.kill('SIGKILL');
    await closed;
    if (way.npm) expect(logs.some(({ msg }) => msg === 'stopped')).toBe(true);
    await untilGone(pids);
  });

  test('keeps what the user sets by a flag of Node', async () => {
    const [way] = PLAIN_WAYS;
    if (way === undefined) throw new Error('no way');
    const {
      starter,
      closed,
      youngBytes: bytes,
    } = await startProbed(way, '--max-semi-space-size=8');
    expect(bytes).toBeGreaterThan(YOUNG_BYTES);
    starter.kill('SIGTERM');
    await closed;
  });
});

test('a server in the background outlives the shell that started it', async () => {
  const folder = await temporaryFolder();
  const script = 'nohup "$0" "$@" > server.log 2>&1 & echo $!';
  const args = [MAIN, 'serve', '--port', '0', '--data', folder, '--set', 'log.format=json'];
  const shell = spawn('/bin/sh', ['-c', script, process.execPath, ...args], {
    cwd: folder,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let printed = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  await exitOf(shell);
  const pid = Number(printed);
  const log = () => readFileSync(path.join(folder, 'server.log'), 'utf8');
  const url = await until('it listens', () => /"address":"(http:[^"]+)"/.exec(log())?.[1], 60_000);
  expect(await get({ url }, '/health/live')).toEqual({ status: 'live' });
  process.kill(pid, 'SIGTERM');
  await until('it has ended', () => !isRunning(pid));
  expect(log()).toContain('"msg":"stopped"');
});

describe('a start in an odd environment', () => {
  test('variables that Kubernetes sets for a Service of our name are warned of', async () => {
    const [way] = PLAIN_WAYS;
    if (way === undefined) throw new Error('no way');
    const { starter, logs, closed } = await startIn(way, {
      PLIMSOLL_PORT: 'tcp://10.0.0.1:80',
      PLIMSOLL_SERVICE_HOST: '10.0.0.1',
      PLIMSOLL_SESION_MAX_USERS: '4',
    });
    const warnings = logs.filter(({ level }) => level === 40).map(({ msg }) => msg);
    expect(warnings).toEqual([
      expect.stringMatching(/^PLIMSOLL_PORT is ignored: .* PLIMSOLL_HTTP_PORT$/),
      expect.stringMatching(/^PLIMSOLL_SERVICE_HOST is ignored: /),
      expect.stringMatching(/^PLIMSOLL_SESION_MAX_USERS .* PLIMSOLL_SESSION_MAX_USERS$/),
    ]);
    starter.kill('SIGTERM');
    expect(await closed).toEqual({ code: 0, signal: null });
  });

  test.each([
    ['--frozen-intrinsics', /--frozen-intrinsics/],
    ['--no-addons', /--no-addons/],
    ['--disallow-code-generation-from-strings', /--disallow-code-generation-from-strings/],
  ])('NODE_OPTIONS=%s: one line names it', async (options, named) => {
    const data = await temporaryFolder();
    const { code, stderr } = await run(['serve', '--port', '0', '--data', data], {
      environment: { NODE_OPTIONS: options },
    });
    expect(code).toBe(1);
    const lines = stderr
      .split('\n')
      .filter((line) => !/^$|^\(.*(Warning|--trace-warnings)/.test(line));
    expect(lines).toEqual([expect.stringMatching(named)]);
    expect(lines[0]).toMatch(/^plimsoll: /);
  });

  test.each([128, 192])('with %i open files it says how many it needs', async (files) => {
    const data = await temporaryFolder();
    const args = [MAIN, 'serve', '--port', '0', '--data', data];
    const { status, stderr } = spawnSync(
      '/bin/sh',
      ['-c', `ulimit -n ${files} && exec "$0" "$@"`, process.execPath, ...args],
      { env: cleanEnvironment(), encoding: 'utf8', timeout: 60_000 },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^plimsoll: too many open files: .*ulimit -n 1024.*\n$/);
  });

  const canHide = spawnSync('unshare', ['--mount', 'umount', '-l', '/proc']).status === 0;
  test.skipIf(!canHide)('without /proc it serves (needs the right to unmount it)', async () => {
    const data = await temporaryFolder();
    const script = 'umount -l /proc && exec "$0" "$@"';
    const child = spawn(
      'unshare',
      [
        ...['--mount', '/bin/sh', '-c', script, process.execPath, MAIN, 'serve'],
        ...['--port', '0', '--data', data, '--set', 'log.format=json'],
      ],
      { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const closed = exitOf(child);
    const address = () => /"address":"(http:[^"]+)"/.exec(printed)?.[1];
    const url = await until('it listens', address, 60_000);
    expect((await classify({ url }, 'hello')).results).toHaveLength(1);
    child.kill('SIGTERM');
    expect(await closed).toEqual({ code: 0, signal: null });
  });
});
