import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { systemCodeOf } from '../../errors.js';
import { wait } from './hub/waits.js';

/** Time between two signs of life of who holds a lock, ms. */
const SIGN_OF_LIFE_MS = 2000;
/** A lock without a sign of life for this long is left over from somebody who died, ms. */
const STALE_MS = 15_000;
/** Time between two looks for a lock that somebody else holds, ms. */
const LOOK_MS = 250;

/** A lock that was taken. */
export interface HeldFileLock {
  /** Whether it is still ours: a process that was suspended for long finds that another one has taken it. */
  readonly isHeld: () => Promise<boolean>;
}

/**
 * Does the work while nobody else does it: in this process, in others, and in other containers on the same
 * folder, where process ids say nothing. So whoever holds the lock gives signs of life.
 *
 * @throws the signal's reason while it waits
 */
export async function withFileLock<T>(
  file: string,
  signal: AbortSignal,
  work: (held: HeldFileLock) => Promise<T>,
): Promise<T> {
  const lock = `${file}.lock`;
  for (;;) {
    signal.throwIfAborted();
    const owner = await take(lock);
    if (owner !== undefined) return holding(lock, owner, work);
    await wait(LOOK_MS, signal);
  }
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
  const owner = (await take(lock)) ?? (await take(lock));
  return owner === undefined ? undefined : { value: await holding(lock, owner, work) };
}

async function holding<T>(
  lock: string,
  owner: string,
  work: (held: HeldFileLock) => Promise<T>,
): Promise<T> {
  const isHeld = async () => (await readFile(lock, 'utf8').catch(() => '')) === owner;
  const timer = setInterval(() => {
    const now = new Date();
    isHeld()
      .then((isOurs) => (isOurs ? utimes(lock, now, now) : undefined))
      .catch(() => undefined);
  }, SIGN_OF_LIFE_MS);
  try {
    return await work({ isHeld });
  } finally {
    clearInterval(timer);
    if (await isHeld()) await rm(lock, { force: true });
  }
}

/** @returns the owner's mark in the lock; undefined if somebody holds it */
async function take(lock: string): Promise<string | undefined> {
  const owner = randomUUID();
  try {
    await writeFile(lock, owner, { flag: 'wx' });
    return owner;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    const held = await stat(lock).catch(() => undefined);
    if (held !== undefined && isStale(held.mtimeMs)) await removeStale(lock);
    return undefined;
  }
}

/** Another process may have removed it meanwhile, and taken the lock: then its lock goes back. */
async function removeStale(lock: string): Promise<void> {
  const aside = `${lock}.${randomUUID()}`;
  try {
    await rename(lock, aside);
  } catch {
    return;
  }
  const moved = await stat(aside).catch(() => undefined);
  if (moved !== undefined && !isStale(moved.mtimeMs))
    await link(aside, lock).catch(() => undefined);
  await rm(aside, { force: true });
}

function isStale(mtimeMs: number): boolean {
  return Date.now() - mtimeMs > STALE_MS;
}
