/** Failures of the disk say nothing about the model: they pass, and the model is tried again. */
import { randomBytes } from 'node:crypto';
import { rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError, systemCodeOf } from '../../../errors.js';

const MB = 2 ** 20;
const ELSEWHERE = 'or set `data` to a folder on another disk';
const MORE_FILES = 'raise the limit of open files (ulimit -n, LimitNOFILE)';

/** What is the matter, and what mends it; wherever the file lies. */
const OF_THE_DISK: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['ENOSPC', ['the disk of the data folder is full', `make room there, ${ELSEWHERE}`]],
  ['EDQUOT', ['the quota of the data folder is used up', `make room there, ${ELSEWHERE}`]],
  ['EROFS', ['the data folder is mounted read-only', `mount it writable, ${ELSEWHERE}`]],
  ['EIO', ['the disk does not read or write (EIO)', 'look for its errors in the kernel’s log']],
  ['EMFILE', ['this process has too many files open', MORE_FILES]],
  ['ENFILE', ['the machine has too many files open', 'raise fs.file-max']],
]);

/** The same, of files in the data folder only: in a model's own folder they are the model's failure. */
const OF_THE_DATA_FOLDER: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['EACCES', ['this server may not write into the data folder', `change its owner, ${ELSEWHERE}`]],
  ['EPERM', ['this server may not write into the data folder', `change its owner, ${ELSEWHERE}`]],
  ['ENOENT', ['the data folder was removed while it was written', 'try again']],
  ['ENOTDIR', ['something in the data folder is a file instead of a folder', 'remove it']],
]);

/** Seconds after which the disk is tried again. */
export const RETRY_SECONDS = 2;

export function storageUnavailable(reason: string, remedy: string, cause?: unknown): PlimsollError {
  return new PlimsollError('STORAGE_UNAVAILABLE', `${reason}: ${remedy}`, {
    ...(cause === undefined ? {} : { cause }),
    retryAfterSeconds: RETRY_SECONDS,
  });
}

/** @returns undefined if the error is not the disk's. @param dataFolder where our own files lie */
export function asDiskFailure(error: unknown, dataFolder: string): PlimsollError | undefined {
  const code = systemCodeOf(error) ?? '';
  const place = error instanceof Error && 'path' in error ? String(error.path) : '';
  const isOurs = place === dataFolder || place.startsWith(`${dataFolder}${path.sep}`);
  const found = OF_THE_DISK.get(code) ?? (isOurs ? OF_THE_DATA_FOLDER.get(code) : undefined);
  return found && storageUnavailable(...found, error);
}

/** Written and synced to see whether the disk still takes something. */
const PROBE_BYTES = MB;

/**
 * Whether an error in native code was the disk's. It carries no code, so the disk is tried: call it while what was
 * written is still there.
 */
export async function diskFailureBehind(
  error: unknown,
  folder: string,
): Promise<PlimsollError | undefined> {
  const file = path.join(folder, `.probe-${randomBytes(6).toString('hex')}`);
  try {
    await writeFile(file, Buffer.alloc(PROBE_BYTES), { flush: true });
    return asDiskFailure(error, folder);
  } catch (failure) {
    return asDiskFailure(failure, folder);
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}

/**
 * Room that preparing takes: the weights, and most of them again in the kernels' layout. A checkpoint is first widened
 * into a graph beside that, which is removed afterwards.
 *
 * @param weightBytes those of a checkpoint as float32
 */
export function roomNeeded(weights: readonly string[], weightBytes: number): number {
  const isGraph = weights[0]?.endsWith('.onnx') === true;
  return Math.ceil(weightBytes * (isGraph ? 2 : 4)) + 4 * MB;
}

/** @throws PlimsollError STORAGE_UNAVAILABLE if the folder's disk has less room. */
export async function checkRoom(folder: string, neededBytes: number): Promise<void> {
  const found = await statfs(folder).catch((error: unknown) => {
    throw asDiskFailure(error, folder) ?? error;
  });
  const freeBytes = found.bavail * found.bsize;
  // Some file systems do not know how much room they have.
  if (found.blocks === 0 || freeBytes >= neededBytes) return;
  const [need, free] = [neededBytes, freeBytes].map((bytes) => `${Math.floor(bytes / MB)} MB`);
  throw storageUnavailable(
    `the disk of the data folder has no room for the mapped form: it takes about ${need}, ${free} are free`,
    `make room there, ${ELSEWHERE}`,
  );
}
