import { randomUUID } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolderName } from './hub-id.js';

/** Where `huggingface_hub` has its own locks, too: other programs know that no model lies there. */
const LOCKS = '.locks';

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

  /** Lets a file of the snapshot point to its content. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const target = path.join(this.snapshot(commit), ...file.split('/'));
    await mkdir(path.dirname(target), { recursive: true });
    const relative = path.relative(path.dirname(target), this.blob(etag));
    const temporary = `${target}.${randomUUID()}.tmp`;
    await symlink(relative, temporary);
    await rename(temporary, target);
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
