import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Sqlite from 'libsql';

/** Servers that may share a data folder. */
const MOST = 64;

/** A server's own place in the data folder: its name, and the file of what waits for the database. */
export interface DataSlot {
  /** The same after every start, as long as the folder lives. */
  readonly server: string;
  readonly spillFile: string;
  /** Leaves it to the next start. */
  readonly release: () => void;
  /** Removes it: nothing is left in it. */
  readonly remove: () => void;
}

/**
 * Takes the first place that no running server has.
 *
 * The lock is SQLite's on an empty file: it goes with the process, however that ends, and it holds
 * on every platform; a process number in a file can be another process's after a restart.
 *
 * @throws Error if the folder cannot be written, or every place is taken.
 */
export function takeSlot(dataDirectory: string): DataSlot {
  const folder = path.join(dataDirectory, 'records');
  mkdirSync(folder, { recursive: true });
  for (let number = 1; number <= MOST; number += 1) {
    const slot = tryToTake(folder, number);
    if (slot !== undefined) return slot;
  }
  throw new Error(`${MOST} servers use the data folder ${dataDirectory} already`);
}

/** Takes every other place whose server is gone: what waits there would wait for ever. */
export function takeAbandoned(dataDirectory: string): readonly DataSlot[] {
  const folder = path.join(dataDirectory, 'records');
  return readdirSync(folder).flatMap((name) => {
    const [, number] = /^(\d+)\.server$/.exec(name) ?? [];
    return (number === undefined ? undefined : tryToTake(folder, Number(number))) ?? [];
  });
}

function tryToTake(folder: string, number: number): DataSlot | undefined {
  const file = (kind: string) => path.join(folder, `${number}.${kind}`);
  const lock = new Sqlite(file('lock'));
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if (/locked|busy/i.test(String(error))) return undefined;
    throw error;
  }
  const remove = () => {
    for (const kind of ['server', 'spill']) rmSync(file(kind), { force: true });
    lock.close();
  };
  const server = nameIn(file('server'));
  return { server, spillFile: file('spill'), release: () => lock.close(), remove };
}

function nameIn(file: string): string {
  try {
    const name = readFileSync(file, 'utf8').trim();
    if (name !== '') return name;
  } catch {
    // The place is new.
  }
  const name = randomBytes(9).toString('base64url');
  writeFileSync(file, name);
  return name;
}
