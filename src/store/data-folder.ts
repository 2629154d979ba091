import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';

const PRIVATE = 0o700;
const OTHERS = 0o077;
const STICKY = 0o1000;
/** What a data folder holds. */
const OURS = /^(plimsoll\.db.*|keys\.json|records|mapped|proofs|models|jobs)$/;

/**
 * Makes the data folder if it is missing, for its owner alone: the texts of users may be in it. An existing
 * one is closed to others only if nothing else is in it: somebody may have named a shared folder, such as
 * `/tmp` or a home. The files that hold texts are private by themselves.
 *
 * @throws Error if it cannot be made.
 */
export function makeDataFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: PRIVATE });
  const { mode, uid } = statSync(folder);
  if ((mode & OTHERS) === 0 || (mode & STICKY) !== 0 || uid !== process.getuid?.()) return;
  if (readdirSync(folder).every((name) => OURS.test(name))) {
    chmodSync(folder, mode & 0o7777 & ~OTHERS);
  }
}
