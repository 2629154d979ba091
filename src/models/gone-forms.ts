import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../errors.js';
import { LOCK_FILE, tryLock } from './compile/forms/folder-lock.js';
import { folderNameOfForm } from './intake/folder/names.js';
import { diskBytesOf } from './intake/origin.js';

/** Mapped forms of one model and one type of weights. */
export interface FormsFolder {
  /** The folder's name below `mapped/`: the id with `~` for `/`, and after an `@` the type of weights or the bounds of its verdict. */
  readonly name: string;
  readonly directory: string;
  readonly bytes: number;
}

/** What somebody writes to at the moment is left alone: forms of so young a folder, ms. */
const YOUNG_MS = 600_000;

/**
 * The folders of mapped forms that belong to none of these models. A form can always be made again; it costs time.
 *
 * @param ids of all models whose forms are kept, of every type of weights
 */
export async function formsOfOthers(
  dataFolder: string,
  ids: readonly string[],
  now = Date.now(),
): Promise<readonly FormsFolder[]> {
  const root = path.resolve(dataFolder, 'mapped');
  const kept = new Set(ids.map(folderNameOfForm));
  const found: FormsFolder[] = [];
  for (const name of await namesIn(root)) {
    if (kept.has(modelPartOf(name))) continue;
    const directory = path.join(root, name);
    if (await isBeingWritten(directory, now)) continue;
    found.push({ name, directory, bytes: await diskBytesOf(directory) });
  }
  return found;
}

/** The folders of mapped forms of one model. */
export async function formsOf(dataFolder: string, id: string): Promise<readonly FormsFolder[]> {
  const root = path.resolve(dataFolder, 'mapped');
  const own = folderNameOfForm(id);
  const names = (await namesIn(root)).filter((name) => modelPartOf(name) === own);
  return Promise.all(
    names.map(async (name) => {
      const directory = path.join(root, name);
      return { name, directory, bytes: await diskBytesOf(directory) };
    }),
  );
}

/**
 * Removes folders of forms, each under the lock that preparing takes.
 *
 * @returns those that are left, as their models are being prepared
 */
export async function removeForms(
  folders: readonly FormsFolder[],
): Promise<readonly FormsFolder[]> {
  const left: FormsFolder[] = [];
  for (const folder of folders) {
    const lock = await tryLock(folder.directory);
    if (lock === undefined) {
      left.push(folder);
      continue;
    }
    try {
      await rm(folder.directory, { recursive: true, force: true });
    } finally {
      await lock.release();
    }
  }
  return left;
}

/** The model's part of a forms folder's name: ids are written without an `@`, so the first one begins the suffix. */
function modelPartOf(name: string): string {
  return name.split('@', 1)[0] ?? name;
}

/** Names in a folder; none if it is not there. */
function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

async function isBeingWritten(directory: string, now: number): Promise<boolean> {
  for (const name of await namesIn(directory)) {
    // The lock stays when the work is done.
    if (!name.startsWith('.') || name === LOCK_FILE) continue;
    const found = await stat(path.join(directory, name)).catch(() => undefined);
    if (found !== undefined && now - found.mtimeMs < YOUNG_MS) return true;
  }
  return false;
}
