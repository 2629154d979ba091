import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError, systemCodeOf } from '../../../errors.js';
import { InputError } from '../input-error.js';
import { LEFT_MS, type Writer, type Written } from '../place.js';
import type { AllowedFolders } from './allowed-folders.js';

const TEMPORARY = /^\..+\.(?:\d|[0-9a-f-]{36})\.tmp$/;
/** Attempts at one part that have a place beside it; who is killed leaves its own. */
const PLACES_BESIDE = 4;
/** File systems without hard links say one of these. */
const NO_LINKS: readonly (string | undefined)[] = [
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
];
const READ_BYTES = 256 * 1024;

/** Writes into a folder of this machine. */
export class LocalWriter implements Writer {
  readonly #folder: string;
  readonly #folders: AllowedFolders;

  constructor(folder: string, folders: AllowedFolders) {
    this.#folder = folder;
    this.#folders = folders;
  }

  write(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Written> {
    return this.#beside(name, chunks, signal, async (temporary, written) => {
      if (await putInPlace(temporary, written.url)) return written;
      return (await this.find(name, signal)) ?? written;
    });
  }

  replace(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Written> {
    return this.#beside(name, chunks, signal, async (temporary, written) => {
      await rename(temporary, written.url);
      return written;
    });
  }

  async find(name: string, signal: AbortSignal): Promise<Written | undefined> {
    const url = this.#pathOf(name);
    if ((await this.#folders.find(url)) === undefined) return undefined;
    const handle = await open(url);
    try {
      const hash = createHash('sha256');
      const chunk = Buffer.allocUnsafe(READ_BYTES);
      let bytes = 0;
      for (;;) {
        signal.throwIfAborted();
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, bytes);
        if (bytesRead === 0) return { url, bytes, sha256: hash.digest('hex') };
        hash.update(chunk.subarray(0, bytesRead));
        bytes += bytesRead;
      }
    } finally {
      await handle.close();
    }
  }

  async bytesOf(name: string): Promise<number | undefined> {
    const url = this.#pathOf(name);
    if ((await this.#folders.find(url)) === undefined) return undefined;
    return (await stat(url)).size;
  }

  async tidy(signal: AbortSignal): Promise<number> {
    if ((await this.#folders.find(this.#folder)) === undefined) return 0;
    let count = 0;
    for (const name of await readdir(this.#folder)) {
      signal.throwIfAborted();
      if (!TEMPORARY.test(name)) continue;
      const file = path.join(this.#folder, name);
      const found = await stat(file).catch(() => undefined);
      if (found === undefined) continue;
      // Another job may be writing one beside. One with a second link is a part already: its attempt was killed before it removed this.
      if (found.nlink === 1 && Date.now() - found.mtimeMs < LEFT_MS) continue;
      await rm(file, { force: true });
      count += 1;
    }
    return count;
  }

  /** Writes a file beside, that is on the disk before it gets its name; nothing stays of an attempt that fails. */
  async #beside(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    put: (temporary: string, written: Written) => Promise<Written>,
  ): Promise<Written> {
    const url = this.#pathOf(name);
    let temporary: string | undefined;
    try {
      await this.#makeFolder();
      const beside = await openBeside(url);
      temporary = beside.file;
      const written = { url, ...(await writeThrough(beside.handle, chunks, signal)) };
      const result = await put(beside.file, written);
      await syncFolder(this.#folder);
      // What killed attempts at it left; one that still runs finds the part.
      await Promise.all(placesBeside(url).map(remove));
      return result;
    } catch (error) {
      throw writeError(url, error);
    } finally {
      if (temporary !== undefined) await remove(temporary);
    }
  }

  async #makeFolder(): Promise<void> {
    await this.#folders.assertMayMake(this.#folder);
    await mkdir(this.#folder, { recursive: true });
    await this.#folders.find(this.#folder);
  }

  #pathOf(name: string): string {
    if (name === '' || name.startsWith('.') || /[/\\\0]/.test(name)) {
      throw new InputError(`${name} is no name of a part`);
    }
    return path.join(this.#folder, name);
  }
}

/** Names of files on their way, beside the one that they will be. */
function placesBeside(file: string): readonly string[] {
  const { dir, base } = path.parse(file);
  return Array.from({ length: PLACES_BESIDE }, (_, n) => path.join(dir, `.${base}.${n}.tmp`));
}

/** A new file beside: the first name that is free, so that what killed attempts leave is known by its name. */
async function openBeside(file: string) {
  const { dir, base } = path.parse(file);
  for (const place of placesBeside(file)) {
    try {
      return { file: place, handle: await open(place, 'wx') };
    } catch (error) {
      if (systemCodeOf(error) !== 'EEXIST') throw error;
    }
  }
  const place = path.join(dir, `.${base}.${randomUUID()}.tmp`);
  return { file: place, handle: await open(place, 'wx') };
}

/** Why something failed is told, not that its rest could not be removed. */
async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch(() => undefined);
}

async function writeThrough(
  handle: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
) {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      await writeWhole(handle, chunk);
      hash.update(chunk);
      bytes += chunk.byteLength;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** A disk that is nearly full takes a part of what it is given, without an error. */
async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let from = 0;
  while (from < chunk.byteLength) {
    const { bytesWritten } = await handle.write(chunk, from, chunk.byteLength - from);
    from += bytesWritten;
  }
}

/** @returns whether it is in place; false: there is one already, which stays */
async function putInPlace(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const code = systemCodeOf(error);
    // Who tidied up after the job took this one: the part is there.
    if (code === 'EEXIST' || (code === 'ENOENT' && (await isThere(file)))) return false;
    if (!NO_LINKS.includes(code)) throw error;
  }
  if (await isThere(file)) return false;
  await rename(temporary, file);
  return true;
}

function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The name of a file is on the disk when its folder is. Some file systems refuse, and need none. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function writeError(file: string, error: unknown): unknown {
  switch (systemCodeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new PlimsollError(
        'STORAGE_UNAVAILABLE',
        `there is no space for ${file}: free some, the job goes on by itself`,
        { cause: error },
      );
    case 'EFBIG':
      return new InputError(
        `${file} is larger than its file system or the limits of this process allow`,
        error,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new InputError(`${file} may not be written by this user`, error);
    case 'EEXIST':
    case 'ENOTDIR':
      return new InputError(`${path.dirname(file)} is no folder`, error);
    default:
      return error;
  }
}
