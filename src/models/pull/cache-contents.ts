import { mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { CachedModel } from './cache-folder.js';
import { ifUnlocked } from './file-lock.js';
import { HubError } from './hub-error.js';
import { cacheFolderName, type HubId } from './hub-id.js';

/** A lock without a sign of life for this long is left over; see `withFileLock`. */
const FRESH_LOCK_MS = 15_000;
const COMMIT = /^[0-9a-f]{40}$/;

/** What takes one model, or one revision of it, out of a hub's cache. */
export interface CacheRemoval {
  readonly id: string;
  /** Commits whose snapshots go. */
  readonly commits: readonly string[];
  /** Commits that stay. */
  readonly kept: readonly string[];
  readonly paths: readonly string[];
  /** Bytes on the disk that come free. */
  readonly bytes: number;
}

/** Ids of the models in a hub's cache. */
export async function cachedIds(cacheFolder: string): Promise<readonly string[]> {
  const names = await readdir(cacheFolder).catch(() => []);
  return names.flatMap((name) => {
    const id = /^models--(.+)$/.exec(name)?.[1]?.replace('--', '/');
    return id === undefined ? [] : [id];
  });
}

/** Commits of a model that have a snapshot in the cache. */
export async function cachedCommits(cacheFolder: string, id: string): Promise<readonly string[]> {
  const { folder } = new CachedModel(cacheFolder, id);
  const names = await readdir(path.join(folder, 'snapshots')).catch(() => []);
  return names.filter((name) => COMMIT.test(name)).sort();
}

/**
 * Plans a removal; nothing is removed yet.
 *
 * 1. Without a revision, or if it is the only one: the whole folder of the model.
 * 2. Else the snapshot, the references to it, and the contents that no other snapshot has.
 *
 * @param revision undefined for all of them
 * @returns undefined if the cache has no such model
 * @throws HubError `revision` if it has the model and not that revision; `disk` while it is being fetched
 */
export async function planRemoval(
  cacheFolder: string,
  { id, revision }: Pick<HubId, 'id'> & { readonly revision: string | undefined },
): Promise<CacheRemoval | undefined> {
  const cached = new CachedModel(cacheFolder, id);
  const blobs = path.join(cached.folder, 'blobs');
  if (!(await isThere(cached.folder))) return undefined;
  await assertUnlocked(blobs, id);
  const all = await cachedCommits(cacheFolder, id);
  if (revision === undefined) return wholeFolder(cached, id, all);
  const commit = await cached.commitOf(revision);
  if (commit === undefined || !all.includes(commit)) {
    const message = `${id}@${revision} is not in the cache; it has ${all.join(', ') || 'nothing whole'}`;
    throw new HubError('revision', message);
  }
  const kept = all.filter((other) => other !== commit);
  if (kept.length === 0) return wholeFolder(cached, id, all); // 1
  const used = new Set((await Promise.all(kept.map((of) => blobsOf(cached, of)))).flat());
  const own = (await blobsOf(cached, commit)).filter((blob) => !used.has(blob));
  const paths = [cached.snapshot(commit), ...(await referencesTo(cached, commit)), ...own]; // 2
  const bytes = await diskBytes([...own, ...(await cached.ownFilesOf(commit))]);
  return { id, commits: [commit], kept, paths, bytes };
}

/**
 * Removes under the lock that pulls take, as {@link planRemoval} plans it at that moment: what was fetched since an
 * earlier plan is heeded. References go first, so that nobody finds a snapshot that is half gone.
 *
 * @returns what was removed; undefined if the cache has no such model any more
 * @throws HubError `disk` while the model is being fetched; as `planRemoval`
 */
export async function removeFromCache(
  cacheFolder: string,
  which: Parameters<typeof planRemoval>[1],
): Promise<CacheRemoval | undefined> {
  const { lock } = new CachedModel(cacheFolder, which.id);
  await mkdir(path.dirname(lock), { recursive: true });
  const done = await ifUnlocked(lock, async () => {
    const plan = await planRemoval(cacheFolder, which);
    for (const each of plan?.paths ?? []) await rm(each, { recursive: true, force: true });
    return plan;
  });
  if (done === undefined) throw beingFetched(which.id);
  return done.value;
}

function beingFetched(id: string): HubError {
  return new HubError('disk', `${id} is being fetched: wait for it, or stop that, and try again`);
}

async function wholeFolder(
  cached: CachedModel,
  id: string,
  commits: readonly string[],
): Promise<CacheRemoval> {
  const blobs = path.join(cached.folder, 'blobs');
  const names = await readdir(blobs).catch(() => []);
  const placed = await Promise.all(commits.map((commit) => cached.ownFilesOf(commit)));
  const bytes = await diskBytes([...names.map((name) => path.join(blobs, name)), ...placed.flat()]);
  const refs = path.join(cached.folder, 'refs');
  return { id, commits, kept: [], paths: [refs, cached.folder], bytes };
}

/** Contents that a snapshot points to. */
async function blobsOf(cached: CachedModel, commit: string): Promise<readonly string[]> {
  const root = cached.snapshot(commit);
  const blobs = path.join(cached.folder, 'blobs');
  const names = await readdir(root, { recursive: true }).catch(() => []);
  const targets = await Promise.all(
    names.map(async (name) => {
      const link = path.join(root, name);
      const target = await readlink(link).catch(() => undefined);
      return target === undefined ? '' : path.resolve(path.dirname(link), target);
    }),
  );
  // A link that leads elsewhere is none of the cache's.
  return [...new Set(targets)].filter((target) => path.dirname(target) === blobs);
}

async function referencesTo(cached: CachedModel, commit: string): Promise<readonly string[]> {
  const refs = path.join(cached.folder, 'refs');
  const names = await readdir(refs, { recursive: true }).catch(() => []);
  const found: string[] = [];
  for (const name of names) {
    const text = await readFile(path.join(refs, name), 'utf8').catch(() => '');
    if (text.trim() === commit) found.push(path.join(refs, name));
  }
  return found;
}

async function assertUnlocked(blobs: string, id: string): Promise<void> {
  const names = await readdir(blobs).catch(() => []);
  for (const name of names.filter((each) => each.endsWith('.lock'))) {
    const lock = await stat(path.join(blobs, name)).catch(() => undefined);
    if (lock === undefined || Date.now() - lock.mtimeMs > FRESH_LOCK_MS) continue;
    throw beingFetched(id);
  }
}

async function diskBytes(files: readonly string[]): Promise<number> {
  const found = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return found.reduce((sum, file) => sum + (file?.blocks ?? 0) * 512, 0);
}

function isThere(folder: string): Promise<boolean> {
  return stat(folder).then(
    () => true,
    () => false,
  );
}

/** The folder of a model in the cache, for messages. */
export function cachedFolder(cacheFolder: string, id: string): string {
  return path.join(cacheFolder, cacheFolderName(id));
}
