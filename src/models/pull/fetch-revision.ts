import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cpuFlags } from '../../system/cpus.js';
import type { CachedModel } from './cache-folder.js';
import { readWanted, refuseConfig, refuseNames } from './checks/small-files.js';
import { filesNamedBy } from './checks/weight-files.js';
import { chooseSmallFiles, chooseWeights } from './choose-files.js';
import { asHubError, bytesThere, checkFree, download, hasSize } from './download.js';
import { withFileLock } from './file-lock.js';
import type { HubClient, HubFile, HubFileHead } from './hub-client.js';
import { HubError } from './hub-error.js';
import type { HubId } from './hub-id.js';
import type { PulledModel, PullOptions } from './pull-protocol.js';

/** Files of one model that are fetched at the same time. */
const CONCURRENT_FILES = 3;

interface Task {
  readonly client: HubClient;
  readonly wanted: HubId;
  readonly cached: CachedModel;
  readonly options: PullOptions;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/**
 * Fetches what the cache lacks of a revision.
 *
 * 1. The names of its files: may it be servable at all?
 * 2. The small files, and what they say: which weights are wanted, and would they be refused?
 * 3. The weights, then the further files that these name.
 * 4. All of it once more: another program may have removed something meanwhile.
 *
 * @throws HubError, the signal's reason
 */
export async function fetchRevision(
  client: HubClient,
  wanted: HubId,
  cached: CachedModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { signal, onProgress, dtype } = options;
  const { commit, files } = await client.revision(wanted, signal);
  const task: Task = { client, wanted, cached, options, commit, files };
  const folder = cached.snapshot(commit);
  const names = files.map((file) => file.path);
  const done = new Set<string>();
  try {
    const cpu = { arch: process.arch, flags: await cpuFlags() };
    refuseNames(names); // 1
    chooseWeights(names, { dtype: undefined, compileProblem: undefined, cpu });
    const small = chooseSmallFiles(names);
    await ensure(task, small, done); // 2
    const asked = await readWanted(folder, names, dtype);
    const weights = chooseWeights(names, { ...asked, cpu });
    await refuseConfig(folder, names, weights[0] ?? '');
    const all = new Set([...small, ...weights]);
    const listed = () =>
      onProgress({ kind: 'listed', files: all.size, commit, totalBytes: bytesOf(files, all) });
    listed();
    await ensure(task, weights, done); // 3
    const named = await Promise.all(weights.map((file) => filesNamedBy(folder, file)));
    const more = named.flat().filter((file) => !all.has(file));
    if (more.length > 0) {
      for (const file of more) all.add(file);
      refuseMissing(more, names);
      listed();
    }
    await ensure(task, [...all], done); // 4
  } catch (error) {
    if (!(error instanceof HubError) || error.kind !== 'unservable') throw error;
    throw new HubError('unservable', `${wanted.id}@${wanted.revision}: ${error.message}`, error);
  }
  // A cache that cannot be written and has all of it is as good.
  await cached.keepRevision(wanted.revision, commit).catch(() => undefined);
  await cached.markWhole(commit, dtype).catch(() => undefined);
  return { ...wanted, commit, folder };
}

function refuseMissing(files: readonly string[], names: readonly string[]): void {
  const lost = files.filter((file) => !names.includes(file));
  if (lost.length === 0) return;
  const message = `its weights name ${lost.slice(0, 4).join(', ')}, which the hub does not have: tell its owner, or take another revision`;
  throw new HubError('unservable', message);
}

/** Sees to it that these files are in the snapshot. The lock is taken only if one is missing: a cache may be read-only. */
async function ensure(task: Task, paths: readonly string[], done: Set<string>): Promise<void> {
  const { cached, commit, options } = task;
  const missing: HubFile[] = [];
  for (const file of task.files.filter((each) => paths.includes(each.path))) {
    const { path: name, sizeBytes } = file;
    if (sizeBytes === undefined || !(await cached.hasFile(commit, name, sizeBytes))) {
      if (sizeBytes !== undefined || !done.has(name)) missing.push(file);
    } else if (!done.has(name)) {
      done.add(name);
      options.onProgress({ kind: 'file-done', file: name, bytes: sizeBytes, fromCache: true });
    }
  }
  if (missing.length === 0) return;
  const folder = path.dirname(cached.lock);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw asHubError(error, task.wanted.id);
  });
  // Whoever fetches the same model meanwhile finds its files afterwards; whoever removes it has to wait.
  await withFileLock(cached.lock, options.signal, () => fetchFiles(task, missing));
  for (const file of missing) done.add(file.path);
}

async function fetchFiles(task: Task, files: readonly HubFile[]): Promise<void> {
  const { options, cached, wanted } = task;
  const lacking = await Promise.all(files.map((file) => lackingBytes(cached, file)));
  const bytes = lacking.reduce((sum, each) => sum + each, 0);
  await checkFree(path.dirname(cached.folder), bytes, wanted.id);
  const work = [...files];
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let file = work.shift(); file !== undefined; file = work.shift()) {
      signal.throwIfAborted();
      await fetchFile(task, file, signal);
    }
  };
  const workers = Array.from({ length: CONCURRENT_FILES }, () =>
    worker().catch((error: unknown) => {
      // One file that cannot be had ends the others: they are taken up again by the next pull.
      stop.abort(error);
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  const [failed] = results.filter((result) => result.status === 'rejected');
  if (failed !== undefined) throw stop.signal.reason ?? failed.reason;
}

/** Bytes of a file that are not on the disk yet, as far as the hub's list tells. */
async function lackingBytes(cached: CachedModel, file: HubFile): Promise<number> {
  const { sizeBytes = 0, checksum } = file;
  if (checksum === undefined) return sizeBytes;
  return Math.max(0, sizeBytes - (await bytesThere(cached.blob(checksum.hex))));
}

/**
 * 1. Content that the hub's list names, and the cache has already.
 * 2. What the head of the file names: in the snapshot, in the cache, or to be fetched.
 */
async function fetchFile(task: Task, file: HubFile, signal: AbortSignal): Promise<void> {
  const { client, cached, commit, wanted, options } = task;
  const { path: name, sizeBytes, checksum } = file;
  const tell = (bytes: number, fromCache: boolean) =>
    options.onProgress({ kind: 'file-done', file: name, bytes, fromCache });
  if (checksum !== undefined && sizeBytes !== undefined) {
    if (await hasSize(cached.blob(checksum.hex), sizeBytes)) {
      await cached.link(commit, name, checksum.hex);
      return tell(sizeBytes, true); // 1
    }
  }
  const ask = (): Promise<HubFileHead> => client.head(wanted.id, commit, file, signal);
  const head = await ask(); // 2
  if (await cached.hasFile(commit, name, head.sizeBytes)) return tell(head.sizeBytes, true);
  const target = cached.blob(head.etag);
  const fromCache = await hasSize(target, head.sizeBytes);
  if (!fromCache) {
    const onBytes = (bytes: number) =>
      options.onProgress({ kind: 'bytes', file: name, bytes, totalBytes: head.sizeBytes });
    const about = { name: `${wanted.id}: ${name}`, target, wait: options.wait };
    await download({ client, head, renew: ask, signal, onBytes, ...about });
  }
  await cached.link(commit, name, head.etag, !fromCache);
  return tell(head.sizeBytes, fromCache);
}

function bytesOf(files: readonly HubFile[], chosen: ReadonlySet<string>): number | undefined {
  const sizes = files.filter((file) => chosen.has(file.path)).map((file) => file.sizeBytes);
  return sizes.reduce(
    (sum, size) => (sum === undefined || size === undefined ? undefined : sum + size),
    0,
  );
}
