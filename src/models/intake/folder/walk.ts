import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../../errors.js';
import {
  contentsOf,
  type FolderContents,
  type Listing,
  listFolder,
  looksLikeModel,
} from './contents.js';
import { asNoFile, NoFileError, readBounded } from './files.js';
import { folderNameOf, hubIdOf, idPartOf } from './names.js';

/** A folder that holds a model, or looks as if it should. */
export type Candidate =
  | { readonly id: string; readonly contents: FolderContents }
  /** It cannot be looked into, for that reason. */
  | { readonly id: string; readonly problem: string };

/** Levels of folders below the models folder. */
const MAX_DEPTH = 4;
const MAX_MODELS = 10_000;
/** Folders that are looked into below the models folder, and below one link that leads out of it. */
const MAX_FOLDERS = 20_000;
const MAX_FOLDERS_OF_LINK = 1000;
/** A commit has 40 characters. */
const MAX_REFERENCE_BYTES = 256;
/** Programs keep their own things in hidden folders: `.git`, `.cache`, `.locks`. */
const isHidden = (name: string) => name.startsWith('.');

/** Every candidate below the folder, or the folder itself if it is one model's own. */
export async function findCandidates(root: string): Promise<readonly Candidate[]> {
  await assertFolder(root);
  const own = await ownModel(root);
  return own === undefined ? new Walk().below(root) : [own];
}

/**
 * The candidate with that id, looked up without reading the whole models folder.
 *
 * @returns undefined if there is none
 */
export async function findCandidate(root: string, id: string): Promise<Candidate | undefined> {
  const parts = id.split('/').map(folderNameOf);
  if (parts.length > MAX_DEPTH || parts.includes(undefined)) return undefined;
  const own = await ownModel(root).catch(() => undefined);
  if (own !== undefined) return own.id === id.normalize('NFC') ? own : undefined;
  const hub = path.join(root, `models--${id.split('/').join('--')}`);
  for (const directory of [hub, await directoryOf(root, id.split('/'))]) {
    if (directory === undefined || !(await isFolder(directory))) continue;
    if (await isInsideModel(root, path.relative(root, directory))) return undefined;
    const found = await candidateIn(directory, id).catch((error: unknown) => problem(id, error));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a folder above it is a model's: what lies in a model's folder is that model's, as the walk has it. */
async function isInsideModel(root: string, below: string): Promise<boolean> {
  const parts = below.split(path.sep);
  for (let depth = 1; depth < parts.length; depth += 1) {
    const above = path.join(root, ...parts.slice(0, depth));
    const listing = await listFolder(above).catch(() => undefined);
    if (listing === undefined) continue;
    const found = await candidateIn(above, '', listing).catch(() => undefined);
    if (found !== undefined && (await isWhole(found, above, listing))) return true;
  }
  return false;
}

/** The folder that the parts of an id stand for, however its name is written on disk. */
async function directoryOf(root: string, parts: readonly string[]): Promise<string | undefined> {
  let directory = root;
  for (const part of parts) {
    const name = folderNameOf(part);
    if (name === undefined) return undefined;
    if (await isFolder(path.join(directory, name))) directory = path.join(directory, name);
    else {
      const listing = await listFolder(directory).catch(() => undefined);
      const wanted = idPartOf(name);
      const other = listing?.folders.find((folder) => idPartOf(folder) === wanted);
      if (other === undefined) return undefined;
      directory = path.join(directory, other);
    }
  }
  return directory;
}

/**
 * The model whose own folder this is, named after the folder.
 *
 * 1. It is a model's folder in Hugging Face's cache, or one of its snapshots; or
 * 2. it has a config.json and weights; or
 * 3. it has one of them, and no folder of a model in it: a stray file does not make a folder of models a model; or
 * 4. it has other weights or a tokenizer, and no folder in it has anything of a model.
 */
async function ownModel(root: string): Promise<Candidate | undefined> {
  const snapshot = await hubSnapshot(root);
  const isSnapshot = path.basename(path.dirname(root)) === 'snapshots';
  const holder = isSnapshot ? path.resolve(root, '..', '..') : root;
  const id = (hubIdOf(path.basename(holder)) ?? [idPartOf(path.basename(root))]).join('/');
  const contents = await contentsOf(snapshot ?? root);
  if (contents === undefined) return undefined;
  if (snapshot !== undefined || isSnapshot) return { id, contents }; // 1
  const hasConfig = contents.configs.includes('config.json');
  const isWhole = hasConfig && hasWeights(contents);
  if (!isWhole && (await hasModelFolders(root))) return undefined;
  const hasOwn = hasConfig || contents.graphs.some((file) => !file.includes(path.sep));
  if (isWhole || hasOwn) return { id, contents }; // 2, 3
  const { files, folders } = await listFolder(root);
  const isOne = looksLikeModel(files) && !(await anyHolds(root, folders, looksLikeModel));
  return isOne ? { id, contents } : undefined; // 4
}

function hasWeights({ graphs, safetensors, otherWeights }: FolderContents): boolean {
  return graphs.length + safetensors.length + otherWeights.length > 0;
}

async function hasModelFolders(root: string): Promise<boolean> {
  const { folders } = await listFolder(root);
  return anyHolds(root, folders, (files) => files.includes('config.json'));
}

async function anyHolds(
  root: string,
  folders: readonly string[],
  isIt: (files: readonly string[]) => boolean,
): Promise<boolean> {
  for (const folder of folders) {
    const listing = await listFolder(path.join(root, folder)).catch(() => undefined);
    if (listing !== undefined && isIt(listing.files)) return true;
  }
  return false;
}

async function candidateIn(
  directory: string,
  id: string,
  listing?: Listing,
): Promise<Candidate | undefined> {
  const snapshot = await hubSnapshot(directory);
  const contents =
    snapshot === undefined ? await contentsOf(directory, listing) : await contentsOf(snapshot);
  return contents && { id, contents };
}

/**
 * The folder of the revision to serve in a model's folder of Hugging Face's cache: the one that `refs/main` names,
 * else the newest. Undefined if the folder is none of that kind.
 */
async function hubSnapshot(directory: string): Promise<string | undefined> {
  if (hubIdOf(path.basename(directory)) === undefined) return undefined;
  const snapshots = path.join(directory, 'snapshots');
  const listing = await listFolder(snapshots).catch(() => undefined);
  if (listing === undefined || listing.folders.length === 0) return undefined;
  const reference = await readBounded(
    path.join(directory, 'refs', 'main'),
    MAX_REFERENCE_BYTES,
  ).catch(() => '');
  const main = reference.toString().trim();
  if (listing.folders.includes(main)) return path.join(snapshots, main);
  const ages = await Promise.all(
    listing.folders.map(async (name) => {
      const { mtimeMs } = await stat(path.join(snapshots, name));
      return { name, mtimeMs };
    }),
  );
  const newest = ages.reduce((best, each) => (each.mtimeMs > best.mtimeMs ? each : best));
  return path.join(snapshots, newest.name);
}

/** More folders than are looked into. */
class TooManyFoldersError extends Error {}

/** One walk through the models folder. */
class Walk {
  readonly #found: Candidate[] = [];
  #left = MAX_FOLDERS;

  async below(root: string): Promise<readonly Candidate[]> {
    try {
      await this.#visit(root, [], await ancestorsOf(root));
    } catch (error) {
      if (!(error instanceof TooManyFoldersError)) throw error;
      this.#found.push(problem(idPartOf(path.basename(root)), error));
    }
    return this.#found;
  }

  /** @param way real paths of the folders on the way here: a link to one of them leads in a circle */
  async #visit(
    directory: string,
    parts: readonly string[],
    way: ReadonlySet<string>,
  ): Promise<void> {
    const { folders, lost } = await listFolder(directory);
    for (const { name, reason } of lost) {
      if (isHidden(name)) continue;
      this.#found.push({ id: [...parts, idPartOf(name)].join('/'), problem: reason });
    }
    for (const name of folders) {
      if (isHidden(name) || this.#found.length >= MAX_MODELS) continue;
      const hub = parts.length === 0 ? hubIdOf(name) : undefined;
      const below = hub ?? [...parts, idPartOf(name)];
      try {
        await this.#enter(path.join(directory, name), below, way);
      } catch (error) {
        if (error instanceof TooManyFoldersError) throw error;
        this.#found.push(problem(below.join('/'), error));
      }
    }
  }

  async #enter(
    directory: string,
    parts: readonly string[],
    way: ReadonlySet<string>,
  ): Promise<void> {
    this.#left -= 1;
    if (this.#left < 0) throw new TooManyFoldersError('there are too many folders to look into');
    const real = await realpath(directory);
    if (way.has(real)) throw new NoFileError('it is a link to a folder that holds it');
    const listing = await listFolder(directory);
    const id = parts.join('/');
    const found = await candidateIn(directory, id, listing);
    if (found !== undefined && (await isWhole(found, directory, listing))) {
      this.#found.push(found);
      return;
    }
    if (parts.length >= MAX_DEPTH) return;
    const inside = new Set([...way, real]);
    const isLink = path.dirname(real) !== (await realpath(path.dirname(directory)));
    if (isLink) await this.#visitLink(directory, parts, inside);
    else await this.#visit(directory, parts, inside);
  }

  /** A link may lead anywhere, and so to half the disk: it has a bound of its own. */
  async #visitLink(
    directory: string,
    parts: readonly string[],
    way: ReadonlySet<string>,
  ): Promise<void> {
    const before = this.#left;
    this.#left = Math.min(before, MAX_FOLDERS_OF_LINK);
    const given = this.#left;
    try {
      await this.#visit(directory, parts, way);
    } catch (error) {
      if (!(error instanceof TooManyFoldersError) || before <= MAX_FOLDERS_OF_LINK) throw error;
      const reason = `it is a link to a folder of more than ${MAX_FOLDERS_OF_LINK} folders: link those of models`;
      this.#found.push({ id: parts.join('/'), problem: reason });
    } finally {
      this.#left += before - given;
    }
  }
}

/** Whether it is a model's folder; one that lacks half of a model and holds folders of models is theirs. */
async function isWhole(found: Candidate, directory: string, listing: Listing): Promise<boolean> {
  if ('problem' in found || found.contents.directory !== directory) return true;
  const isComplete = found.contents.configs.length > 0 && hasWeights(found.contents);
  if (isComplete || listing.folders.length === 0) return true;
  return !(await hasModelFolders(directory));
}

/** Real paths of the folder and of every folder above it. */
async function ancestorsOf(root: string): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  let at = await realpath(root);
  while (!found.has(at)) {
    found.add(at);
    at = path.dirname(at);
  }
  return found;
}

function problem(id: string, error: unknown): Candidate {
  const reason = systemCodeOf(error) === undefined ? messageOf(error) : asNoFile(error).message;
  // What is no UTF-8 comes out of the file system with marks in its place, and is not found under that name.
  const isGarbled = id.includes('\ufffd') && reason === 'it is missing';
  return { id, problem: isGarbled ? 'its name is not valid UTF-8: rename the folder' : reason };
}

async function assertFolder(root: string): Promise<void> {
  const found = await stat(root).catch((error: unknown) => {
    const reason = messageOf(error).startsWith('EACCES') ? 'cannot be read' : 'does not exist';
    throw new PlimsollError('NOT_FOUND', `the models folder ${root} ${reason}`);
  });
  if (!found.isDirectory()) {
    throw new PlimsollError('NOT_FOUND', `${root} is no folder: name one of models, or a model's`);
  }
}

async function isFolder(directory: string): Promise<boolean> {
  return stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
