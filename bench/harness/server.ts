/** The server under test: the built program, in its own process, on a free port and a fresh data folder. */

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { SERVER_ENVIRONMENT, SERVER_NODE_FLAGS } from '../../src/commands/own-server.js';
import { Api } from './api.js';
import type { Context } from './benchmark.js';
import type { MemoryCgroup } from './cgroup.js';
import { type CachedModel, mappedFolder } from './models.js';
import { serverEnvironment, serverProgram } from './program.js';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export interface ServerOptions {
  readonly models: readonly CachedModel[];
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Where it and all its processes live. */
  readonly cgroup?: MemoryCgroup;
}

export interface ServerUnderTest {
  readonly api: Api;
  readonly url: string;
  readonly pid: number;
  /** Set when its process has ended. */
  readonly ended: () => string | undefined;
  readonly stop: () => Promise<void>;
}

/** Starts a server; it ends with the benchmark at the latest. */
export async function startServer(
  context: Pick<Context, 'defer'>,
  options: ServerOptions,
): Promise<ServerUnderTest> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-server-'));
  context.defer(() => rm(folder, { recursive: true, force: true }));
  const args = await layOut(folder, options);
  const command = [process.execPath, ...SERVER_NODE_FLAGS, serverProgram, ...args];
  const [program = '', ...rest] = options.cgroup?.command(command) ?? command;
  const child = spawn(program, rest, {
    env: { ...serverEnvironment(), ...SERVER_ENVIRONMENT },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C reaches the benchmark alone, which then ends the server.
    detached: true,
  });
  let end: string | undefined;
  const exited = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.on('exit', (code, signal) => {
      end = signal ?? `exit code ${code}`;
      resolve();
    });
  });
  const logFile = path.join(folder, 'server.log');
  const log = createWriteStream(logFile);
  child.stderr.pipe(log, { end: false });
  let stopping: Promise<void> | undefined;
  let api: Api | undefined;
  const stop = () => {
    stopping ??= (async () => {
      api?.close();
      if (end === undefined) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
      log.end();
    })();
    return stopping;
  };
  context.defer(stop);
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it did not start')), START_TIMEOUT_MS);
    void exited.then(() => reject(new Error(`it ended (${end ?? 'unknown'})`)));
    lines.on('line', (line) => {
      log.write(`${line}\n`);
      const address = /"address":"(http:[^"]+)"/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  }).catch(async (error: unknown) => {
    await stop();
    const words = await readFile(logFile, 'utf8').catch(() => '');
    throw new Error(`the server under test: ${String(error)}\n${words.slice(-2000)}`);
  });
  api = new Api(url);
  return { api, url, pid: child.pid ?? 0, ended: () => end, stop };
}

/** Its models by name, and a data folder whose mapped forms are the cached ones. @returns its arguments */
async function layOut(folder: string, { models, settings }: ServerOptions): Promise<string[]> {
  const [modelsFolder, data] = [path.join(folder, 'models'), path.join(folder, 'data')];
  await Promise.all([mkdir(modelsFolder), mkdir(data)]);
  for (const { id, directory } of models) await symlink(directory, path.join(modelsFolder, id));
  await mkdir(mappedFolder(), { recursive: true });
  await symlink(mappedFolder(), path.join(data, 'mapped'));
  const set = { 'log.format': 'json', 'log.level': 'info', ...settings };
  return [
    'serve',
    ...['--host', '127.0.0.1', '--port', '0', '--models', modelsFolder, '--data', data],
    ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
}
