import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { CachedModel, exists } from './cache-folder.js';
import { chooseFiles } from './choose-files.js';
import { asHubError, download } from './download.js';
import { withFileLock } from './file-lock.js';
import { HubClient, type HubFile } from './hub-client.js';
import { HubError } from './hub-error.js';
import { type HubId, parseHubId } from './hub-id.js';
import type { HubSettings } from './hub-settings.js';

/** Files of one model that are fetched at the same time. */
const CONCURRENT_FILES = 3;

/** What a pull tells while it works. */
export type PullProgress =
  | {
      readonly kind: 'listed';
      readonly files: number;
      readonly commit: string;
      /** Bytes of all of them, those in the cache too; undefined where the hub does not tell. */
      readonly totalBytes: number | undefined;
    }
  | {
      readonly kind: 'bytes';
      readonly file: string;
      readonly bytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly kind: 'file-done';
      readonly file: string;
      readonly bytes: number;
      readonly fromCache: boolean;
    };

export interface PullOptions {
  readonly settings: HubSettings;
  /** `org/name[@revision]` */
  readonly model: string;
  /** The setting `models.dtype`. */
  readonly dtype: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
}

/** A model in the cache. */
export interface PulledModel {
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  /** The snapshot: a model folder. */
  readonly folder: string;
}

/**
 * Brings a model into the hub's cache, or finds it there: files that are there are not fetched again, and
 * offline what an earlier pull has brought is enough.
 *
 * @throws HubError, Error for what is no id
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const wanted = parseHubId(options.model);
  const cached = new CachedModel(options.settings.cacheFolder, wanted.id);
  if (options.settings.isOffline) return fromCache(wanted, cached, 'HF_HUB_OFFLINE is set');
  const client = new HubClient(options.settings);
  try {
    return await fetchModel(client, wanted, cached, options);
  } catch (error) {
    // A commit, or what a branch was at its last pull, serves as well while the hub cannot be reached.
    const isAway = error instanceof HubError && error.kind === 'network';
    if (!isAway || options.signal.aborted) throw error;
    return fromCache(wanted, cached, error.message).catch(() => {
      throw error;
    });
  }
}

async function fetchModel(
  client: HubClient,
  wanted: HubId,
  cached: CachedModel,
  options: PullOptions,
): Promise<PulledModel> {
  const { onProgress } = options;
  const { commit, files } = await client.revision(wanted);
  const chosen = chooseFiles(
    files.map((file) => file.path),
    options.dtype,
  );
  onProgress({ kind: 'listed', files: chosen.length, commit, totalBytes: bytesOf(files, chosen) });
  await mkdir(path.dirname(cached.lock), { recursive: true }).catch((error: unknown) => {
    throw asHubError(error, wanted.id);
  });
  // Whoever fetches the same model meanwhile finds its files afterwards; whoever removes it has to wait.
  return withFileLock(cached.lock, options.signal, () =>
    fetchFiles(client, wanted, cached, options, commit, chosen),
  );
}

async function fetchFiles(
  client: HubClient,
  wanted: HubId,
  cached: CachedModel,
  options: PullOptions,
  commit: string,
  chosen: readonly string[],
): Promise<PulledModel> {
  const work = [...chosen];
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let file = work.shift(); file !== undefined; file = work.shift()) {
      signal.throwIfAborted();
      await fetchFile(client, cached, { ...options, signal }, commit, wanted.id, file);
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
  await cached.keepRevision(wanted.revision, commit);
  return { ...wanted, commit, folder: cached.snapshot(commit) };
}

async function fetchFile(
  client: HubClient,
  cached: CachedModel,
  { signal, onProgress }: PullOptions,
  commit: string,
  id: string,
  file: string,
): Promise<void> {
  const head = await client.head(id, commit, file);
  const target = cached.blob(head.etag);
  const fromCache = await exists(target);
  if (!fromCache) {
    const onBytes = (bytes: number) =>
      onProgress({ kind: 'bytes', file, bytes, totalBytes: head.sizeBytes });
    await download({ client, head, name: `${id}: ${file}`, target, signal, onBytes });
  }
  await cached.link(commit, file, head.etag);
  onProgress({ kind: 'file-done', file, bytes: head.sizeBytes, fromCache });
}

function bytesOf(files: readonly HubFile[], chosen: readonly string[]): number | undefined {
  const sizes = files.filter((file) => chosen.includes(file.path)).map((file) => file.sizeBytes);
  return sizes.reduce(
    (sum, size) => (sum === undefined || size === undefined ? undefined : sum + size),
    0,
  );
}

/**
 * The model as the cache has it; nothing is asked of the hub.
 *
 * @throws HubError `offline` if an earlier pull has not brought all of it; Error for what is no id
 */
export async function findInCache(settings: HubSettings, model: string): Promise<PulledModel> {
  const wanted = parseHubId(model);
  const why = `it has to be fetched first, with "plimsoll pull ${model}" or "plimsoll serve --model ${model}"`;
  return fromCache(wanted, new CachedModel(settings.cacheFolder, wanted.id), why);
}

/** @throws HubError `offline` if an earlier pull has not brought all of it */
async function fromCache(wanted: HubId, cached: CachedModel, why: string): Promise<PulledModel> {
  const commit = await cached.commitOf(wanted.revision);
  const files = commit === undefined ? [] : await cached.filesOf(commit);
  const isComplete =
    files.includes('config.json') && files.some((file) => /\.(onnx|safetensors)$/.test(file));
  if (commit === undefined || !isComplete) {
    const name = `${wanted.id}@${wanted.revision}`;
    throw new HubError('offline', `${name} is not in the cache (${cached.folder}), and ${why}`);
  }
  return { ...wanted, commit, folder: cached.snapshot(commit) };
}
