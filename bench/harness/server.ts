/** The server under test: the built program, in its own process, on a free port and a fresh data folder. */

import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Context } from './benchmark.js';
import type { MemoryCgroup } from './cgroup.js';
import { type ServerUnderTest, startListening } from './listening.js';
import { type CachedModel, mappedFolder } from './models.js';
import { serverProgram } from './program.js';

export type { ServerUnderTest };

export interface ServerOptions {
  readonly models: readonly CachedModel[];
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Where it and all its processes live. */
  readonly cgroup?: MemoryCgroup;
}

/** Starts a server; it ends with the benchmark at the latest. */
export async function startServer(
  context: Pick<Context, 'defer'>,
  options: ServerOptions,
): Promise<ServerUnderTest> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-server-'));
  context.defer(() => rm(folder, { recursive: true, force: true }));
  const args = await layOut(folder, options);
  const command = [process.execPath, serverProgram, ...args];
  const started = options.cgroup?.command(command) ?? command;
  return startListening(context, started, path.join(folder, 'server.log'));
}

/** Models by name, and a data folder whose mapped forms are the cached ones. */
export async function layOutModels(
  folder: string,
  models: readonly CachedModel[],
): Promise<{ readonly modelsFolder: string; readonly data: string }> {
  const [modelsFolder, data] = [path.join(folder, 'models'), path.join(folder, 'data')];
  await Promise.all([mkdir(modelsFolder), mkdir(data)]);
  for (const { id, directory } of models) await symlink(directory, path.join(modelsFolder, id));
  await mkdir(mappedFolder(), { recursive: true });
  await symlink(mappedFolder(), path.join(data, 'mapped'));
  return { modelsFolder, data };
}

/** @returns the server's arguments */
async function layOut(folder: string, { models, settings }: ServerOptions): Promise<string[]> {
  const { modelsFolder, data } = await layOutModels(folder, models);
  const set = { 'log.format': 'json', 'log.level': 'info', ...settings };
  return [
    'serve',
    ...['--host', '127.0.0.1', '--port', '0', '--models', modelsFolder, '--data', data],
    ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
}
