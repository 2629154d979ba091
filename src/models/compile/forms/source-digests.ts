import { createHash, randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Model } from '../../intake/repository.js';
import { readObject, replaceFile } from './written-files.js';

const FILE = 'sources.json';
/** States of the files that are remembered for each model: several servers may see them under other inodes. */
const MOST_STATES = 8;

/**
 * Digests of the models' files, so that they are not read again while nothing has changed. They are found by size,
 * times and inode of every file; on another machine these differ, and the files are read once.
 */
export class SourceDigests {
  readonly #folderOf: (model: Model) => string;
  /** By signature: what was asked for in this run. */
  readonly #known = new Map<string, { readonly signature: string; readonly digest: string }>();

  constructor(folderOf: (model: Model) => string) {
    this.#folderOf = folderOf;
  }

  /** The digest of the model's files; undefined if they have to be read for it. */
  async known(model: Model): Promise<string | undefined> {
    const known = this.#known.get(keyOf(model));
    if (known?.signature === model.signature) return known.digest;
    const state = await stateOf(model);
    if (state === undefined) return undefined;
    const digest = (await this.#kept(model)).get(state);
    if (digest !== undefined) this.#remember(model, digest);
    return digest;
  }

  /** Keeps a digest that was just computed. A folder that cannot be written costs a reading at the next start. */
  async keep(model: Model, digest: string): Promise<void> {
    this.#remember(model, digest);
    const state = await stateOf(model);
    if (state === undefined) return;
    const others = [...(await this.#kept(model).catch(() => new Map<string, string>()))].filter(
      ([each]) => each !== state,
    );
    const states = Object.fromEntries([...others, [state, digest]].slice(-MOST_STATES));
    const file = path.join(this.#folderOf(model), FILE);
    const unique = randomBytes(6).toString('hex');
    await replaceFile(file, JSON.stringify(states, null, 2), unique).catch(() => undefined);
  }

  #remember(model: Model, digest: string): void {
    this.#known.set(keyOf(model), { signature: model.signature, digest });
  }

  async #kept(model: Model): Promise<ReadonlyMap<string, string>> {
    const value = (await readObject(path.join(this.#folderOf(model), FILE))) ?? {};
    return new Map(
      Object.entries(value).flatMap(([state, digest]) =>
        typeof digest === 'string' ? [[state, digest]] : [],
      ),
    );
  }
}

function keyOf({ id, dtype }: Model): string {
  return `${id}\n${dtype}`;
}

/** Hash of size, times and inode of every file; undefined if one cannot be looked at. */
async function stateOf({ directory, files }: Model): Promise<string | undefined> {
  const hash = createHash('sha256').update(directory);
  try {
    for (const file of files) {
      const { size, mtimeNs, ctimeNs, ino } = await stat(path.join(directory, file), {
        bigint: true,
      });
      hash.update(`\n${file}:${size}:${mtimeNs}:${ctimeNs}:${ino}`);
    }
  } catch {
    return undefined;
  }
  return hash.digest('hex').slice(0, 32);
}
