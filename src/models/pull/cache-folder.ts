import { randomUUID } from 'node:crypto';
import {
  access,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';
import { HubError } from './hub-error.js';
import { cacheFolderName } from './hub-id.js';

/** Where `huggingface_hub` has its own locks, too: other programs know that no model lies there. */
const LOCKS = '.locks';

/** A folder of ours beside those of `huggingface_hub`, which passes it over. */
const MARKS = '.plimsoll';

/** What `symlink` fails with where there are no links, or where nobody may make one (symlink(2); Windows: EPERM). */
const NO_LINKS = /^(EPERM|EACCES|ENOSYS|ENOTSUP|EOPNOTSUPP|EINVAL|UNKNOWN)$/;

/**
 * One model in the hub's cache, in the layout that `huggingface_hub` has:
 * `models--org--name/{blobs/<etag>, refs/<revision>, snapshots/<commit>/<file> → ../../blobs/<etag>}`.
 */
export class CachedModel {
  readonly folder: string;
  /** What is locked while the model is fetched or removed; beside the folders of models, as that goes with the model. */
  readonly lock: string;

  constructor(cacheFolder: string, id: string) {
    this.folder = path.join(cacheFolder, cacheFolderName(id));
    this.lock = path.join(cacheFolder, LOCKS, cacheFolderName(id));
  }

  blob(etag: string): string {
    return path.join(this.folder, 'blobs', etag);
  }

  snapshot(commit: string): string {
    return path.join(this.folder, 'snapshots', commit);
  }

  /** The commit that a revision stood for when it was last pulled; undefined if it never was. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (/^[0-9a-f]{40}$/.test(revision) && (await exists(this.snapshot(revision)))) return revision;
    const text = await readFile(path.join(this.folder, 'refs', revision), 'utf8').catch(() => '');
    const commit = text.trim();
    return /^[0-9a-f]{40}$/.test(commit) ? commit : undefined;
  }

  /** Keeps which commit a branch or tag stands for; a commit stands for itself. */
  async keepRevision(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const file = path.join(this.folder, 'refs', revision);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID()}.tmp`;
    await writeFile(temporary, commit);
    await rename(temporary, file);
  }

  /**
   * Lets a file of the snapshot point to its content. Where the file system has no symbolic links the content itself is
   * put there, as `huggingface_hub` does: what was just fetched is moved, what others may use is copied.
   *
   * @param isNew whether the content was just fetched
   */
  async link(commit: string, file: string, etag: string, isNew = false): Promise<void> {
    const target = this.fileOf(commit, file);
    const relative = path.relative(path.dirname(target), this.blob(etag));
    if ((await readlink(target).catch(() => undefined)) === relative) return;
    await mkdir(path.dirname(target), { recursive: true });
    const temporary = `${target}.${randomUUID()}.tmp`;
    try {
      await symlink(relative, temporary);
    } catch (error) {
      if (!NO_LINKS.test(systemCodeOf(error) ?? '')) throw error;
      await this.#place(this.blob(etag), temporary, isNew);
    }
    await rename(temporary, target);
  }

  async #place(blob: string, temporary: string, isNew: boolean): Promise<void> {
    if (isNew) return rename(blob, temporary);
    try {
      await copyFile(blob, temporary);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Notes that all of a revision that this type of weights needs was fetched: then a pinned one needs no hub. */
  async markWhole(commit: string, dtype: string): Promise<void> {
    await mkdir(this.#marks(commit), { recursive: true });
    await writeFile(path.join(this.#marks(commit), dtype), '');
  }

  isMarkedWhole(commit: string, dtype: string): Promise<boolean> {
    return exists(path.join(this.#marks(commit), dtype));
  }

  #marks(commit: string): string {
    return path.join(this.folder, MARKS, commit);
  }

  /**
   * A file of a snapshot. Names come from a hub, and the cache is shared with other programs: whatever let the name
   * pass, nothing is read or written elsewhere.
   *
   * @throws HubError for a name that leads out of the snapshot
   */
  fileOf(commit: string, file: string): string {
    const root = this.snapshot(commit);
    const target = path.join(root, ...file.split('/'));
    if (target.startsWith(root + path.sep) && !target.endsWith(path.sep)) return target;
    throw new HubError('answer', `${JSON.stringify(file)} leads out of the model's folder`);
  }

  /** Whether a file of a snapshot is there with its size, as a link to content or, without links, as the content. */
  async hasFile(commit: string, file: string, sizeBytes: number): Promise<boolean> {
    const found = await stat(this.fileOf(commit, file)).catch(() => undefined);
    return found?.isFile() === true && found.size === sizeBytes;
  }

  /** Files of a snapshot that are no links, as a file system without links has them. */
  async ownFilesOf(commit: string): Promise<readonly string[]> {
    const root = this.snapshot(commit);
    const names = await readdir(root, { recursive: true }).catch(() => []);
    const own: string[] = [];
    for (const name of names) {
      const file = path.join(root, name);
      if ((await lstat(file).catch(() => undefined))?.isFile() === true) own.push(file);
    }
    return own;
  }

  /** Files of a snapshot whose content is there. */
  async filesOf(commit: string): Promise<readonly string[]> {
    const root = this.snapshot(commit);
    const names = await readdir(root, { recursive: true }).catch(() => []);
    const found: string[] = [];
    for (const name of names) {
      // A link to content that was removed leads nowhere.
      if (await exists(path.join(root, name))) found.push(name.split(path.sep).join('/'));
    }
    return found;
  }
}

export async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
