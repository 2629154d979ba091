import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { messageOf, systemCodeOf } from '../../../errors.js';

/** What identifies one state of a file. */
export interface FileFacts {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

/** A path that leads to no readable file, and why. */
export class NoFileError extends Error {
  override readonly name = 'NoFileError';
  /** Whether there is nothing at that path at all. */
  readonly missing: boolean;

  constructor(message: string, missing = false) {
    super(message);
    this.missing = missing;
  }
}

/**
 * Opens a regular file for reading. Opening a named pipe without a writer would wait for ever, so the file
 * is opened without blocking and looked at before anything is read.
 *
 * @throws NoFileError
 */
export async function openFile(file: string): Promise<{ handle: FileHandle; facts: FileFacts }> {
  const handle = await openAny(file);
  try {
    const found = await handle.stat();
    const kind = oddKindOf(found);
    if (kind !== undefined) throw new NoFileError(`it is ${kind}, not a file`);
    return { handle, facts: { size: found.size, mtimeMs: found.mtimeMs, ino: found.ino } };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openAny(file: string): Promise<FileHandle> {
  try {
    // Windows has no such flag, and no pipes among its files.
    return await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw asNoFile(error);
  }
}

/**
 * Size and time of a regular file, without opening it.
 *
 * @throws NoFileError
 */
export async function factsOf(file: string): Promise<FileFacts> {
  try {
    const found = await stat(file);
    const kind = oddKindOf(found);
    if (kind !== undefined) throw new NoFileError(`it is ${kind}, not a file`);
    return { size: found.size, mtimeMs: found.mtimeMs, ino: found.ino };
  } catch (error) {
    throw error instanceof NoFileError ? error : asNoFile(error);
  }
}

/**
 * Reads a whole file of at most that many bytes. The size is looked at before anything is read, and no more than it
 * says is read, so that a file that grows meanwhile takes no more memory than was checked.
 *
 * @throws NoFileError
 */
export async function readBounded(file: string, maxBytes: number): Promise<Buffer> {
  const { handle, facts } = await openFile(file);
  try {
    if (facts.size > maxBytes) {
      throw new NoFileError(
        `it has ${inMb(facts.size)}; the most that is read is ${inMb(maxBytes)}`,
      );
    }
    const content = Buffer.allocUnsafe(facts.size);
    let filled = 0;
    while (filled < content.length) {
      const { bytesRead } = await handle.read(content, filled, content.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return content.subarray(0, filled);
  } catch (error) {
    throw error instanceof NoFileError ? error : asNoFile(error);
  } finally {
    await handle.close();
  }
}

interface Kinds {
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

/** What it is if it is no regular file. */
function oddKindOf(found: Kinds): string | undefined {
  if (found.isFile()) return undefined;
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a named pipe';
  return found.isSocket() ? 'a socket' : 'a device';
}

/** A system error in words; paths stay out of it, as callers see them. */
export function asNoFile(error: unknown): NoFileError {
  const code = systemCodeOf(error);
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new NoFileError('it is missing', true);
    case 'EACCES':
    case 'EPERM':
      return new NoFileError('this server may not read it (permission denied)');
    case 'ELOOP':
      return new NoFileError('it is a link that leads back to itself');
    case 'ENXIO':
      return new NoFileError('it is a socket or a device, not a file');
    case 'ENAMETOOLONG':
      return new NoFileError('its name is too long');
    default:
      return new NoFileError(code === undefined ? messageOf(error) : `it cannot be read (${code})`);
  }
}

const MB = 2 ** 20;

function inMb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}
