import { systemCodeOf } from '../../errors.js';
import { CachedModel } from './cache-folder.js';
import { hasWholeWeights } from './checks/weight-files.js';
import { asHubError } from './download.js';
import { fetchRevision } from './fetch-revision.js';
import { HubClient } from './hub-client.js';
import { HubError } from './hub-error.js';
import { type HubId, parseHubId } from './hub-id.js';
import type { HubSettings } from './hub-settings.js';
import type { PulledModel, PullOptions } from './pull-protocol.js';

export type { PulledModel, PullOptions, PullProgress } from './pull-protocol.js';

/** Failures after which what the cache has serves as well, as `huggingface_hub` has it. */
const FALLS_BACK: ReadonlySet<string> = new Set([
  ...['network', 'answer', 'missing', 'gated', 'token', 'revision'],
]);
const READ_ONLY = /^(EROFS|EACCES|EPERM)$/;
const COMMIT = /^[0-9a-f]{40}$/;

/**
 * Brings a model into the hub's cache, or finds it there.
 *
 * 1. Offline, what an earlier pull has brought is enough.
 * 2. So it is for a commit that was fetched whole: it stands for the same files for ever. Nothing is asked or written.
 * 3. The hub is asked; files that are there are not fetched again.
 * 4. A hub that is away or refuses, and a cache that cannot be written: what the cache has of that revision serves, with a
 *    warning.
 *
 * @throws HubError, Error for what is no id
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { settings, signal, dtype } = options;
  const wanted = parseHubId(options.model);
  const cached = new CachedModel(settings.cacheFolder, wanted.id);
  if (settings.isOffline) return fromCache(wanted, cached, 'HF_HUB_OFFLINE is set'); // 1
  if (COMMIT.test(wanted.revision) && (await cached.isMarkedWhole(wanted.revision, dtype))) {
    const there = await fromCache(wanted, cached, '').catch(() => undefined);
    if (there !== undefined) return there; // 2
  }
  try {
    const client = new HubClient(settings, options.wait);
    return await fetchRevision(client, wanted, cached, options); // 3
  } catch (error) {
    if (signal.aborted) {
      throw new HubError('stopped', `${options.model}: stopped; what is there is kept`);
    }
    const known = asHubError(error, wanted.id);
    if (!fallsBack(known)) throw known;
    const there = await fromCache(wanted, cached, known.message).catch(() => undefined);
    if (there === undefined) throw known;
    const message = `${known.message}; what the cache has of ${wanted.revision} serves: commit ${there.commit}`;
    options.onProgress({ kind: 'warning', message });
    return there; // 4
  }
}

function fallsBack({ kind, cause }: HubError): boolean {
  return FALLS_BACK.has(kind) || (kind === 'disk' && READ_ONLY.test(systemCodeOf(cause) ?? ''));
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
  if (commit === undefined || !(await hasWholeWeights(cached.snapshot(commit), files))) {
    const name = `${wanted.id}@${wanted.revision}`;
    throw new HubError('offline', `${name} is not in the cache (${cached.folder}), and ${why}`);
  }
  return { ...wanted, commit, folder: cached.snapshot(commit) };
}
