import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { hubIdOf } from './folder/names.js';

/** A model in a hub's cache. */
export interface HubOrigin {
  readonly id: string;
  readonly commit: string;
}

/** Entries of a model's folder that are counted at most. */
const MOST_FILES = 10_000;
/** `st_blocks` counts these, whatever the file system's own blocks are (stat(2)). */
const BLOCK_BYTES = 512;

/** Which model of a hub a folder is a snapshot of, by its place: `models--org--name/snapshots/<commit>`. */
export function hubOriginOf(directory: string): HubOrigin | undefined {
  const [name = '', snapshots, commit = ''] = directory.split(path.sep).slice(-3);
  const id = hubIdOf(name)?.join('/');
  const isSnapshot = snapshots === 'snapshots' && /^[0-9a-f]{40}$/.test(commit);
  return id !== undefined && isSnapshot ? { id, commit } : undefined;
}

/** Bytes that the files below a folder take on the disk, links followed to files, each file counted once. */
export async function diskBytesOf(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  const seen = new Set<string>();
  let bytes = 0;
  for (const name of names.slice(0, MOST_FILES)) {
    const found = await stat(path.join(directory, name)).catch(() => undefined);
    const file = `${found?.dev}:${found?.ino}`;
    if (found?.isFile() !== true || seen.has(file)) continue;
    seen.add(file);
    // Where the file system counts no blocks, the size is the nearest that is known.
    bytes += found.blocks === undefined ? found.size : found.blocks * BLOCK_BYTES;
  }
  return bytes;
}
