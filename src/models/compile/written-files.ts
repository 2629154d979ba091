import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';

/** Writes back what the kernel holds of a file: until then its mapped pages count as private. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.sync();
  await handle.close();
}

/** Writes a small file and waits until it is on disk. */
export async function writeSynced(file: string, content: string): Promise<void> {
  await writeFile(file, content, { flush: true });
}

/** Makes a rename inside the folder durable. */
export async function syncFolder(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  // Some file systems refuse to sync a folder; the rename is then only as durable as they are.
  await handle.sync().catch(() => undefined);
  await handle.close();
}

/** The JSON object in a file; undefined if it is missing or broken. */
export async function readObject(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
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

/** Whether a process with that id runs. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === 'EPERM';
  }
}
