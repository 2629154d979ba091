import { open, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../../errors.js';

/** Writes back what the kernel holds of a file: until then its mapped pages count as private. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a small file and waits until it is on disk. */
export async function writeSynced(file: string, content: string): Promise<void> {
  await writeFile(file, content, { flush: true, mode: 0o600 });
}

/** Replaces a small file in one step. `unique` keeps two writers apart. */
export async function replaceFile(file: string, content: string, unique: string): Promise<void> {
  const beside = `${file}.${unique}`;
  await writeSynced(beside, content);
  await rename(beside, file);
}

/** Makes a rename inside the folder durable. */
export async function syncFolder(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  // Some file systems refuse to sync a folder; the rename is then only as durable as they are.
  await handle.sync().catch(() => undefined);
  await handle.close();
}

/** Codes of files that are missing or cannot be read for good; others say nothing about the file. */
const BROKEN = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EIO', 'ELOOP']);

/**
 * The JSON object in a file; undefined if it is missing or broken.
 *
 * @throws Error if the file cannot be opened for another reason: too many open files, no permission.
 */
export async function readObject(file: string): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (BROKEN.has(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Sum of the sizes of the files that exist. */
export async function bytesOf(directory: string, names: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const name of names) {
    const handle = await open(path.join(directory, name)).catch(() => undefined);
    bytes += (await handle?.stat())?.size ?? 0;
    await handle?.close();
  }
  return bytes;
}

/** Names in a folder; none if it does not exist. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT' || systemCodeOf(error) === 'ENOTDIR') return [];
    throw error;
  });
}
