import { constants, type Dirent } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Glob, type GlobState, literally, type SplitPattern, splitPattern } from '../glob.js';
import { InputError, nothingMatches, outputIsInput } from '../input-error.js';
import { isInputName, isWrittenName } from '../names.js';
import type { ByteRange, FileRef, ListOptions, Reader } from '../place.js';
import { type AllowedFolders, isWithin, readError, realPathToBe } from './allowed-folders.js';

const CHUNK_BYTES = 256 * 1024;
const MAX_DEPTH = 64;

/** What one pattern is looked for with. */
interface Walk {
  readonly glob: Glob;
  readonly signal: AbortSignal;
  /** A folder that is named, not a glob. */
  readonly isFolder: boolean;
  /** Files are taken by what their names say, as those of a folder are. */
  readonly isOfFolders: boolean;
  /** Where the job writes, without links; undefined: elsewhere. */
  readonly output: string | undefined;
  /** Files of the job itself that were left out. */
  leftOut: number;
}

/** Reads files of this machine. */
export class LocalReader implements Reader {
  readonly #folders: AllowedFolders;

  constructor(folders: AllowedFolders) {
    this.#folders = folders;
  }

  /**
   * 1. A path that is there as it is written: that file, or the files of that folder and those below it whose names say their format.
   * 2. Else a glob: all files that match, whatever their names say. One that ends with `/` stands for folders, and is read like them.
   */
  async *list(
    pattern: string,
    signal: AbortSignal,
    { output }: ListOptions,
  ): AsyncGenerator<FileRef> {
    const split = this.#split(pattern);
    const { base, rest } = split;
    const place = rest === '' ? base : pathOf(pattern);
    const real = await this.#folders.find(base);
    const whole = real === undefined ? undefined : await statOf(place);
    const isFolder = whole?.isDirectory() === true;
    const toBe = output === undefined ? undefined : await realPathToBe(pathOf(output));
    if (isFolder && toBe === (await this.#folders.find(place))) throw outputIsInput(place);
    const isNear = toBe !== undefined && real !== undefined && isWithin(real, toBe);
    const walk = { signal, isFolder, output: isNear ? toBe : undefined, leftOut: 0 };
    let count = 0;
    const found = isFolder
      ? this.#walk(place, { ...walk, glob: new Glob('**'), isOfFolders: true })
      : whole !== undefined
        ? this.#one(place)
        : this.#glob(split, /[/\\]$/.test(pattern), walk);
    for await (const file of found) {
      count += 1;
      yield file;
    }
    if (count > 0) return;
    if (isFolder) {
      throw new InputError(
        `${place} has no file whose name says that it is JSONL, CSV or Parquet; name others by a glob: ${path.join(place, '*')}`,
      );
    }
    throw rest === ''
      ? new InputError(`${place} is not there`)
      : nothingMatches(pattern, walk.leftOut);
  }

  async *read(file: FileRef, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const handle = await this.#open(file);
    try {
      let at = range.start;
      const end = Math.min(range.end ?? file.bytes, file.bytes);
      let room: Buffer | undefined;
      while (at < end) {
        signal.throwIfAborted();
        const chunk = room ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, end - at));
        if (range.mayReuse === true) room = chunk;
        const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, end - at), at);
        if (bytesRead === 0) throw changed(file);
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
      // Whoever writes while we read is told, rather than half of each being taken.
      if ((await versionOf(handle)) !== file.version) throw changed(file);
    } finally {
      await handle.close();
    }
  }

  async #open(file: FileRef): Promise<FileHandle> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, opening a pipe waits for its writer.
      handle = await open(file.url, constants.O_RDONLY | constants.O_NONBLOCK);
      // After opening: a link that is changed in between leads to another file than the one that was allowed.
      const real = await this.#folders.find(file.url);
      const [opened, allowed] = [
        await handle.stat(),
        real === undefined ? undefined : await stat(real),
      ];
      if (opened.ino !== allowed?.ino || opened.dev !== allowed.dev) throw changed(file);
      if (!opened.isFile()) throw new InputError(`${file.url} is no file`);
      if ((await versionOf(handle)) !== file.version) throw changed(file);
      return handle;
    } catch (error) {
      await handle?.close();
      throw readError(file.url, error);
    }
  }

  async *#one(file: string): AsyncGenerator<FileRef> {
    const found = await this.#reference(file);
    if (found === undefined) throw new InputError(`${file} is no file`);
    yield found;
  }

  /** The wildcards are those that were asked for: names of an allowed folder, and of this program's own, have none. */
  #split(pattern: string): SplitPattern {
    const place = pathOf(pattern);
    const [own, isRelative] = [process.cwd(), !/^file:\/\/|^\//.test(pattern)];
    if (isRelative && literally(own) !== own) {
      return splitPattern(path.resolve(literally(own), pattern));
    }
    const holder = this.#folders.holderOf(place) ?? '';
    return splitPattern(literally(holder) + place.slice(holder.length));
  }

  #glob(
    { base, rest }: SplitPattern,
    isOfFolders: boolean,
    walk: Omit<Walk, 'glob' | 'isOfFolders'>,
  ) {
    if (rest === '') return nothing();
    const glob = new Glob(isOfFolders ? `${rest}/**` : rest);
    // The same object: it counts what is left out.
    return this.#walk(base, Object.assign(walk, { glob, isOfFolders }));
  }

  async *#walk(
    base: string,
    walk: Walk,
    state: GlobState = walk.glob.start,
    depth = 0,
    isOutput = false,
  ): AsyncGenerator<FileRef> {
    const { glob, signal, output, isOfFolders } = walk;
    if (depth > MAX_DEPTH) throw new InputError(`${base} is more than ${MAX_DEPTH} folders deep`);
    const isBelow = isOutput || (output !== undefined && (await realPathToBe(base)) === output);
    if (isBelow && walk.isFolder) return;
    for (const entry of await entriesOf(base)) {
      signal.throwIfAborted();
      const next = glob.step(state, entry.name);
      if (next.length === 0) continue;
      const file = path.join(base, entry.name);
      if (await isFolder(entry, file, glob.isDeep(next))) {
        yield* this.#walk(file, walk, next, depth + 1, isBelow);
      } else if (glob.isWhole(next) && (!isOfFolders || isInputName(entry.name))) {
        if (isBelow && isWrittenName(entry.name)) {
          walk.leftOut += 1;
          continue;
        }
        const found = await this.#reference(file);
        if (found !== undefined) yield found;
      }
    }
  }

  /** @returns undefined if it is no file, or is gone meanwhile */
  async #reference(file: string): Promise<FileRef | undefined> {
    if ((await this.#folders.find(file)) === undefined) return undefined;
    const found = await statOf(file);
    if (!found?.isFile()) return undefined;
    return { url: file, bytes: Number(found.size), version: versionFrom(found) };
  }
}

async function* nothing(): AsyncGenerator<FileRef> {
  // A path without wildcards that is not there.
}

/** @throws InputError if it is no address of a file of this machine */
export function pathOf(place: string): string {
  if (place.includes('\0')) throw new InputError('a path cannot have a zero byte');
  if (!place.startsWith('file://')) return path.resolve(place);
  try {
    return fileURLToPath(place);
  } catch (error) {
    throw new InputError(`${place} is no address of a file of this machine`, error);
  }
}

/** In the order of the names of their paths, the same on every machine. Folders that may not be read are told, not passed over. */
async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw readError(folder, error);
  }
}

/** A link to a folder is followed where the pattern names it, not where `**` would walk in circles. */
async function isFolder(entry: Dirent, file: string, isDeep: boolean): Promise<boolean> {
  if (entry.isDirectory()) return true;
  if (!entry.isSymbolicLink() || isDeep) return false;
  return (await statOf(file))?.isDirectory() ?? false;
}

type Stat = Awaited<ReturnType<typeof bigStat>>;
const bigStat = (file: string) => stat(file, { bigint: true });

async function statOf(file: string): Promise<Stat | undefined> {
  return bigStat(file).catch(() => undefined);
}

async function versionOf(handle: FileHandle): Promise<string> {
  return versionFrom(await handle.stat({ bigint: true }));
}

function versionFrom({ size, mtimeNs }: { readonly size: bigint; readonly mtimeNs: bigint }) {
  return `${size}-${mtimeNs}`;
}

function changed(file: FileRef): InputError {
  return new InputError(
    `${file.url} is another file than when the job began, or was written to meanwhile: start the job again`,
  );
}
