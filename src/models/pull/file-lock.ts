import { open, rm, stat, utimes } from 'node:fs/promises';
import { systemCodeOf } from '../../errors.js';

/** Time between two signs of life of who holds a lock, ms. */
const SIGN_OF_LIFE_MS = 2000;
/** A lock without a sign of life for this long is left over from somebody who died, ms. */
const STALE_MS = 15_000;
/** Time between two looks for a lock that somebody else holds, ms. */
const LOOK_MS = 250;

/**
 * Does the work while nobody else does it: in this process, in others, and in other containers on the same
 * folder, where process ids say nothing. So whoever holds the lock gives signs of life.
 */
export async function withFileLock<T>(
  file: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const lock = `${file}.lock`;
  while (!(await take(lock))) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return holding(lock, work);
}

/**
 * Does the work if nobody holds the lock, and does not wait.
 *
 * @returns undefined if somebody holds it
 */
export async function ifUnlocked<T>(
  file: string,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | undefined> {
  const lock = `${file}.lock`;
  // The first look may remove a lock that is left over.
  const isOurs = (await take(lock)) || (await take(lock));
  return isOurs ? { value: await holding(lock, work) } : undefined;
}

async function holding<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(lock, now, now).catch(() => undefined);
  }, SIGN_OF_LIFE_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx')).close();
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    const held = await stat(lock).catch(() => undefined);
    if (held !== undefined && Date.now() - held.mtimeMs > STALE_MS) await rm(lock, { force: true });
    return false;
  }
}
