import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../../errors.js';
import { InputError } from '../input-error.js';

/** Which folders of this machine jobs may read from and write to. */
export class AllowedFolders {
  readonly #folders: readonly string[] | 'any';

  constructor(folders: readonly string[] | 'any') {
    this.#folders = folders === 'any' ? 'any' : folders.map((folder) => path.resolve(folder));
  }

  /**
   * The path without links, of a file or folder that may be used.
   *
   * 1. By its name alone it is within an allowed folder: else nothing is looked up, so that answers tell nothing of other files.
   * 2. Links lead nowhere else.
   *
   * @returns undefined if there is no such file
   * @throws InputError if it is not allowed
   */
  async find(place: string): Promise<string | undefined> {
    const wanted = path.resolve(place);
    if (this.#folders === 'any') return realPathOf(wanted);
    const real = await Promise.all(this.#folders.map(realPathOf));
    const allowed = [...this.#folders, ...real.filter((folder) => folder !== undefined)];
    if (!allowed.some((folder) => isWithin(folder, wanted))) throw this.#refusal(place); // 1
    const found = await realPathOf(wanted);
    if (found === undefined) return undefined;
    if (!real.some((folder) => folder !== undefined && isWithin(folder, found))) {
      throw this.#refusal(place); // 2
    }
    return found;
  }

  /** The innermost of the folders that a path is within by its name alone; undefined: of none, or every folder is allowed. */
  holderOf(place: string): string | undefined {
    if (this.#folders === 'any') return undefined;
    const holders = this.#folders.filter((folder) => isWithin(folder, place));
    return holders.sort((a, b) => b.length - a.length)[0];
  }

  /** Refuses by the name alone, without a look at the disk. @throws InputError */
  assertNamed(place: string): void {
    if (this.#folders === 'any') return;
    const wanted = path.resolve(place);
    if (!this.#folders.some((folder) => isWithin(folder, wanted))) throw this.#refusal(place);
  }

  /** Allows a folder that need not be there yet: what is there of the way to it counts. */
  async assertMayMake(folder: string): Promise<void> {
    let at = path.resolve(folder);
    while ((await this.find(at)) === undefined && path.dirname(at) !== at) {
      const above = path.dirname(at);
      if (this.#folders !== 'any' && this.#folders.includes(at)) return;
      at = above;
    }
  }

  #refusal(place: string): InputError {
    const which =
      this.#folders === 'any' || this.#folders.length === 0
        ? 'jobs of this server may use no folder of its machine'
        : `jobs of this server may use ${this.#folders.join(', ')} only`;
    return new InputError(`${place} is not allowed: ${which}; jobs.folders sets which`);
  }
}

/** The path without links of a folder that need not be there yet. */
export async function realPathToBe(folder: string): Promise<string> {
  const found = await realPathOf(folder);
  const above = path.dirname(folder);
  if (found !== undefined || above === folder) return found ?? folder;
  return path.join(await realPathToBe(above), path.basename(folder));
}

export function isWithin(folder: string, file: string): boolean {
  const way = path.relative(folder, file);
  return way === '' || (way !== '..' && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way));
}

async function realPathOf(place: string): Promise<string | undefined> {
  try {
    return await realpath(place);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw readError(place, error);
  }
}

/** What a failure of the file system means to who wrote the path. */
export function readError(place: string, error: unknown): unknown {
  switch (systemCodeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new InputError(`${place} is not there`, error);
    case 'EACCES':
    case 'EPERM':
      return new InputError(`${place} may not be read by this user`, error);
    case 'ELOOP':
      return new InputError(`${place} is a link that leads to itself`, error);
    case 'ENAMETOOLONG':
      return new InputError(`${place.slice(0, 200)}… is longer than a path can be`, error);
    default:
      return error;
  }
}
