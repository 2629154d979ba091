import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

const PRIVATE = 0o700;
const OTHERS = 0o077;
const STICKY = 0o1000;

/**
 * Makes the data folder if it is missing, for its owner alone: the texts of users may be in it. An existing
 * one is closed to others only if it is ours: somebody may have named a shared folder such as `/tmp`.
 *
 * @throws Error if it cannot be made.
 */
export function makeDataFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: PRIVATE });
  const { mode, uid } = statSync(folder);
  const isOurs = ['plimsoll.db', 'records'].some((name) => existsSync(path.join(folder, name)));
  if ((mode & OTHERS) === 0 || (mode & STICKY) !== 0 || !isOurs || uid !== process.getuid?.())
    return;
  chmodSync(folder, mode & ~OTHERS & 0o7777);
}
