import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { systemCodeOf } from '../../../errors.js';
import { cFunction } from '../../../system/process/libc.js';

/** Operations of flock(2). */
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
/** Time between two attempts to get a lock that somebody else holds. */
const LOOK_MS = 200;

/** The name of the lock file in a folder. */
export const LOCK_FILE = '.lock';

/** A lock that is held. */
export interface HeldLock {
  release(): Promise<void>;
}

/**
 * Locks a folder for this process, in this and in other containers (flock(2)). The kernel releases the lock when the
 * process ends, however it ends; process ids say nothing across containers, so none is used.
 *
 * Without flock (Windows, some network file systems) nothing is locked: two servers may then prepare one model at the
 * same time, and the later one's form is dropped.
 *
 * @returns undefined if somebody else holds the lock
 * @throws Error if the folder cannot be made or written
 */
export async function tryLock(folder: string): Promise<HeldLock | undefined> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, LOCK_FILE);
  const handle = await open(file, 'a', 0o600);
  try {
    const flock = cFunction('int flock(int fd, int operation)');
    const isSupported = flock?.(handle.fd, LOCK_UN) === 0;
    if (!isSupported) return held(handle);
    const isOurs = flock(handle.fd, LOCK_EX + LOCK_NB) === 0;
    // The folder may have been removed in between: a lock on a deleted file keeps nobody out.
    if (isOurs && (await isAt(handle, file))) return held(handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

/**
 * Waits for the lock.
 *
 * @returns undefined if somebody else still held it after `waitMs`
 * @throws the signal's reason; as {@link tryLock}
 */
export async function lockFolder(
  folder: string,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<HeldLock | undefined> {
  const until = performance.now() + waitMs;
  for (;;) {
    signal.throwIfAborted();
    const lock = await tryLock(folder);
    if (lock !== undefined) return lock;
    if (performance.now() > until) return undefined;
    await wait(LOOK_MS, undefined, { signal });
  }
}

/** Closing the file releases the lock. */
function held(handle: FileHandle): HeldLock {
  return { release: () => handle.close() };
}

async function isAt(handle: FileHandle, file: string): Promise<boolean> {
  try {
    const [ours, found] = [await handle.stat(), await stat(file)];
    return ours.ino === found.ino && ours.dev === found.dev;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
