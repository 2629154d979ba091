/** The server under test: the built program, in its own process, on a free port and a fresh data folder. */
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { Dtype } from '../../src/models/intake/dtype.js';
import type { Deferring } from './benchmark.js';
import type { MemoryCgroup } from './machine/cgroup.js';
import { type CachedModel, mappedFolder } from './models.js';
import { serverProgram, temporaryFolder } from './program.js';
import { type ServerUnderTest, startListening } from './programs/listening.js';

export type { ServerUnderTest };

export type Settings = Readonly<Record<string, string | number>>;

/** Every request runs the model. */
export const UNCACHED: Settings = { 'cache.max_size': 0 };
/** The ambient session has room for every user of a load. */
export const ROOMY_SESSIONS: Settings = { 'session.max_users': 10_000 };
/** Workers are not replaced for the users that they have served. */
export const NO_RECYCLING: Settings = { 'recycle.after_users': 1_000_000_000 };

export interface ServerOptions {
  readonly models: readonly CachedModel[];
  readonly settings?: Settings;
  /** Where it and all its processes live. */
  readonly cgroup?: MemoryCgroup | undefined;
}

/** With the folder of its data. */
export interface StartedServer extends ServerUnderTest {
  readonly data: string;
}

/** Starts a server; it ends with the benchmark at the latest. */
export async function startServer(
  context: Deferring,
  options: ServerOptions,
): Promise<StartedServer> {
  const folder = await temporaryFolder(context, 'server');
  const args = await layOut(folder, options);
  const command = [process.execPath, serverProgram, ...args];
  const started = options.cgroup?.command(command) ?? command;
  const listening = await startListening(context, started, path.join(folder, 'server.log'));
  return { ...listening, data: path.join(folder, 'data') };
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

/** The type that all of the models are measured in; by default a server chooses among forms, which would be another one elsewhere. */
function dtypeOf(models: readonly CachedModel[]): Dtype | 'auto' {
  const [first = 'fp32', ...others] = new Set(models.map(({ dtype = 'fp32' }) => dtype));
  return others.length === 0 ? first : 'auto';
}

/** @returns the server's arguments */
async function layOut(folder: string, { models, settings }: ServerOptions): Promise<string[]> {
  const { modelsFolder, data } = await layOutModels(folder, models);
  const set = {
    ...{ 'log.format': 'json', 'log.level': 'info', 'models.dtype': dtypeOf(models) },
    ...settings,
  };
  return [
    'serve',
    ...['--host', '127.0.0.1', '--port', '0', '--models', modelsFolder, '--data', data],
    ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
}
