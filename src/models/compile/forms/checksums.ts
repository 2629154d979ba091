/** Sizes and digests of files, read with bounded memory. Large files: call it in a throw-away process. */
import { createHash, type Hash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { cFunction } from '../../../system/process/libc.js';

/** One file of a mapped form as it was written. */
export interface FormFile {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256, in hexadecimal digits. */
  readonly sha256: string;
}

/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 18;
/** `POSIX_FADV_DONTNEED` of posix_fadvise(2). */
const DONT_NEED = 4;

/**
 * SHA-256 over the names and contents of a model's files. The same files have the same digest on every machine. Their
 * pages leave the page cache: once the form is made nothing reads them again.
 */
export async function digestOfSources(
  directory: string,
  files: readonly string[],
): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file}\n`);
    await addFile(hash, path.join(directory, file), 'drop');
  }
  return hash.digest('hex');
}

/** Sizes and digests of those of the files that exist. */
export async function checksumsOf(
  directory: string,
  names: readonly string[],
): Promise<readonly FormFile[]> {
  const files: FormFile[] = [];
  for (const name of names) {
    const hash = createHash('sha256');
    try {
      const bytes = await addFile(hash, path.join(directory, name), 'keep');
      files.push({ name, bytes, sha256: hash.digest('hex') });
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
  }
  return files;
}

/** What is wrong with the first file of another size than was written; undefined if none is. Opens no file. */
export async function faultOfSizes(
  directory: string,
  files: readonly Pick<FormFile, 'name' | 'bytes'>[],
): Promise<string | undefined> {
  for (const { name, bytes } of files) {
    try {
      const { size } = await stat(path.join(directory, name));
      if (size !== bytes) return `${name} has ${size} bytes instead of ${bytes}`;
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return `${name} is missing`;
      if (code === 'EIO') return `${name} cannot be read (EIO)`;
      throw error;
    }
  }
  return undefined;
}

/** As {@link faultOfSizes}, and then reads the contents: 1 s for each GB, or as long as the disk takes. */
export async function faultOfContents(
  directory: string,
  files: readonly FormFile[],
): Promise<string | undefined> {
  const fault = await faultOfSizes(directory, files);
  if (fault !== undefined) return fault;
  for (const { name, sha256 } of files) {
    const hash = createHash('sha256');
    try {
      await addFile(hash, path.join(directory, name), 'keep');
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === 'ENOENT') return `${name} is missing`;
      if (code !== 'EIO') throw error;
      return `${name} cannot be read: ${messageOf(error)}`;
    }
    if (hash.digest('hex') !== sha256) return `the contents of ${name} have changed`;
  }
  return undefined;
}

/**
 * Adds a file's content to the hash.
 *
 * @param pages `drop`: the kernel may forget them afterwards (those that a process has mapped stay). Pages of a form are
 *    kept: workers map them. Read once, they are the first that the kernel drops.
 * @returns its size
 */
async function addFile(hash: Hash, file: string, pages: 'drop' | 'keep'): Promise<number> {
  const handle = await open(file, 'r');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let at = 0;
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
    if (pages === 'drop') dropPages(handle.fd);
  } finally {
    await handle.close();
  }
  return at;
}

function dropPages(fd: number): void {
  const advise = cFunction('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');
  advise?.(fd, 0, 0, DONT_NEED);
}
