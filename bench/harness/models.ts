/** The models that are measured: the bundled one, and synthetic ones that are made once and kept. */
import { link, mkdir, readdir, rm, stat, statfs, symlink } from 'node:fs/promises';
import path from 'node:path';
import { quantiseFile } from '../../src/models/compile/quantise/quantise.js';
import type { Dtype } from '../../src/models/intake/dtype.js';
import { generateFamilyModel, plainGraphOf } from '../synthetic/family.js';
import type { FamilyName, FamilySize } from '../synthetic/family-shapes.js';
import { generateSyntheticModel, type ShapeName } from '../synthetic/index.js';
import { type Context, NotRunError } from './benchmark.js';
import { benchFolder, mappedFolder, prepare, tokenizerFolder } from './prepared-models.js';
import { projectFolder } from './program.js';
import type { Progress } from './progress.js';

export { mappedFolder } from './prepared-models.js';

export interface CachedModel {
  readonly id: string;
  readonly directory: string;
  /** Size of its ONNX file. */
  readonly bytes: number;
  /** Type of the weights that it is prepared and served with; fp32 if it is left out. */
  readonly dtype?: Dtype | 'auto';
}

/** What other work on the disk needs. */
const SPARE_BYTES = 3 * 2 ** 30;

export const bundledFolder = path.join(projectFolder, 'models', 'spam');

/** It comes with the package: its size is of no interest here. */
export const bundledModel: CachedModel = { id: 'spam', directory: bundledFolder, bytes: 0 };

/** In headlines the first model of a shape goes by the shape's name. */
export function titleOf(id: string): string {
  return id === bundledModel.id ? 'bundled model' : id.replace(/-01$/, '');
}

/** The model of a shape with the first seed: made, and prepared. */
export async function syntheticModel(
  shape: ShapeName,
  progress: Progress,
  dtype: Dtype = 'fp32',
): Promise<CachedModel> {
  const [model] = await syntheticModels(shape, 1, progress, dtype);
  if (model === undefined) throw new Error(`no model in the shape of ${shape}`);
  return model;
}

/** Two models of a shape, made and prepared. */
export async function twoSyntheticModels(
  shape: ShapeName,
  progress: Progress,
): Promise<readonly [CachedModel, CachedModel]> {
  const [first, second] = await syntheticModels(shape, 2, progress);
  if (first === undefined || second === undefined) throw new Error(`no models like ${shape}`);
  return [first, second];
}

/**
 * Synthetic models of one shape, generated and prepared if they are not there yet. Each has weights of
 * its own: copies of one file would be found in the page cache.
 */
export async function syntheticModels(
  shape: ShapeName,
  count: number,
  progress: Progress,
  dtype: Dtype = 'fp32',
): Promise<readonly CachedModel[]> {
  const tokenizerDirectory = tokenizerFolder();
  const models: CachedModel[] = [];
  for (let seed = 1; seed <= count; seed += 1) {
    const kind = dtype === 'fp32' ? '' : `${dtype}-`;
    const id = `${shape}-${kind}${String(seed).padStart(2, '0')}`;
    const directory = path.join(benchFolder(), 'models', id);
    progress.at(`model ${id}`);
    const options = { shape, seed, directory, tokenizerDirectory, dtype };
    const { bytes } = await generateSyntheticModel(options);
    models.push({ id, directory, bytes, dtype });
  }
  await prepare(models, progress);
  return models;
}

/**
 * As many models as asked for in the place of `models`: those, and more folders whose files are hard links to theirs. The mapped forms
 * are files of their own, so nothing is found in the page cache; only the disk is spared their originals.
 *
 * @throws NotRunError if their forms would not fit on the disk
 */
export async function manyModels(
  models: readonly CachedModel[],
  count: number,
  progress: Progress,
): Promise<readonly CachedModel[]> {
  const more: CachedModel[] = [];
  for (let at = models.length; at < count; at += 1) {
    const of = models[at % models.length];
    if (of === undefined) throw new Error('there is no model to take more of');
    const id = `${of.id}-as-${String(at + 1).padStart(3, '0')}`;
    const directory = path.join(benchFolder(), 'models', id);
    await rm(directory, { recursive: true, force: true });
    await linkAll(of.directory, directory);
    more.push({ ...of, id, directory });
  }
  const unmade: CachedModel[] = [];
  for (const model of more) {
    const isThere = await stat(mappedFolderOf(model)).catch(() => undefined);
    if (isThere === undefined) unmade.push(model);
  }
  await checkRoom(unmade);
  await prepare(more, progress);
  return [...models, ...more];
}

/** Where the forms of a model are. */
export function mappedFolderOf({ id, dtype = 'fp32' }: CachedModel): string {
  return path.join(mappedFolder(), dtype === 'fp32' ? id : `${id}@${dtype}`);
}

/** Mapped forms are up to twice as large as the file that they are made of. */
async function checkRoom(unmade: readonly CachedModel[]): Promise<void> {
  const wanted = unmade.reduce((sum, { bytes }) => sum + 2 * bytes, 0);
  const { bavail, bsize } = await statfs(benchFolder());
  if (wanted + SPARE_BYTES <= bavail * bsize) return;
  const gb = (bytes: number) => `${(bytes / 2 ** 30).toFixed(0)} GB`;
  const reason = `${unmade.length} mapped forms need ${gb(wanted)} more in ${benchFolder()}, where ${gb(bavail * bsize)} are free`;
  throw new NotRunError(`${reason}; another folder can be named with PLIMSOLL_BENCH_DIR`);
}

async function linkAll(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const target = path.join(to, path.relative(from, file));
    await mkdir(path.dirname(target), { recursive: true });
    await link(file, target);
  }
}

/** A model that is compiled from safetensors, and the same one as a graph for a plain session. */
export interface FamilyModel extends CachedModel {
  readonly plain: CachedModel;
}

/** A generated model of a family as safetensors, not prepared. */
export async function checkpointModel(
  name: FamilyName,
  size: FamilySize,
  progress: Progress,
  dtype: 'F32' | 'BF16' = 'F32',
): Promise<CachedModel> {
  const id = `${name}-${size}${dtype === 'F32' ? '' : '-bf16'}`;
  const directory = path.join(benchFolder(), 'models', id);
  progress.at(`model ${id}`);
  const tokenizerDirectory = tokenizerFolder();
  const options = { name, size, seed: 1, dtype, directory, tokenizerDirectory };
  return { id, directory, bytes: await generateFamilyModel(options) };
}

/** The same model as a graph over the same weights, for a plain session. @param model its weights are F32 */
export async function plainModelOf({ directory, bytes }: CachedModel): Promise<CachedModel> {
  const folder = await plainGraphOf(directory, tokenizerFolder());
  return { id: path.basename(folder), directory: folder, bytes };
}

/** A generated model of a family, prepared. */
export async function familyModel(
  name: FamilyName,
  size: FamilySize,
  progress: Progress,
): Promise<FamilyModel> {
  const model = await checkpointModel(name, size, progress);
  const plain = await plainModelOf(model);
  await prepare([model], progress);
  return { ...model, plain };
}

/**
 * The same model with its fp32 weights quantised and nothing else changed; prepared.
 *
 * @param model its folder has an `onnx/model.onnx`
 */
export async function quantisedModel(model: CachedModel, progress: Progress): Promise<CachedModel> {
  const id = `${model.id}-q8`;
  const directory = path.join(benchFolder(), 'models', id);
  await rm(directory, { recursive: true, force: true });
  await mkdir(path.join(directory, 'onnx'), { recursive: true });
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    await symlink(path.join(model.directory, name), path.join(directory, name));
  }
  const file = path.join(directory, 'onnx', 'model_quantized.onnx');
  await quantiseFile(path.join(model.directory, 'onnx', 'model.onnx'), file);
  const { size: bytes } = await stat(file);
  const quantised = { id, directory, bytes, dtype: 'q8' } as const;
  await prepare([quantised], progress);
  return quantised;
}

const SHAPES = ['minilm', 'distilbert', 'bert-base'] as const;

/**
 * The bundled model and one of each synthetic shape, all prepared; only the one that `--model` names if
 * it names one.
 *
 * @throws Error for a name that is none of them
 */
export async function measuredModels(
  { model: only, progress }: Pick<Context, 'model' | 'progress'>,
  shapes: readonly (typeof SHAPES)[number][] = SHAPES,
): Promise<readonly CachedModel[]> {
  const names = [bundledModel.id, ...shapes];
  if (only !== undefined && !names.some((name) => name === only)) {
    throw new Error(`--model ${only} is none of ${names.join(', ')}`);
  }
  const models: CachedModel[] = [];
  if (only === undefined || only === bundledModel.id) {
    await prepare([bundledModel], progress);
    models.push(bundledModel);
  }
  for (const shape of shapes) {
    if (only === undefined || only === shape) models.push(await syntheticModel(shape, progress));
  }
  return models;
}
