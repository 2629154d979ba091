/** Synthetic models and their mapped forms, made once and kept between runs: 20 bert-base are 21 GB. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quantiseFile } from '../../src/models/compile/quantise/quantise.js';
import type { Dtype } from '../../src/models/intake/dtype.js';
import { generateSyntheticModel, type ShapeName } from '../synthetic/index.js';
import { NotRunError } from './benchmark.js';
import { projectFolder, serverEnvironment, serverProgram } from './program.js';
import type { Progress } from './progress.js';

export interface CachedModel {
  readonly id: string;
  readonly directory: string;
  /** Size of its ONNX file. */
  readonly bytes: number;
}

/** The tokenizer that synthetic models get: `PLIMSOLL_BENCH_TOKENIZER`, else the bundled model's. */
function tokenizerFolder(): string {
  return process.env.PLIMSOLL_BENCH_TOKENIZER ?? path.join(projectFolder, 'models', 'spam');
}

/**
 * In `PLIMSOLL_BENCH_DIR`, else in the system's temporary folder. Each tokenizer has a place of its own:
 * two checkouts that take turns must not rewrite each other's models.
 *
 * @throws NotRunError
 */
export function benchFolder(): string {
  const root = process.env.PLIMSOLL_BENCH_DIR ?? path.join(tmpdir(), 'plimsoll-bench');
  const file = path.join(tokenizerFolder(), 'tokenizer.json');
  try {
    const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
    return path.resolve(root, `tokenizer-${digest.slice(0, 8)}`);
  } catch {
    throw new NotRunError(`${file} cannot be read; name its folder with PLIMSOLL_BENCH_TOKENIZER`);
  }
}

export function mappedFolder(): string {
  return path.join(benchFolder(), 'data', 'mapped');
}

/**
 * Synthetic models of one shape, each with weights of its own (files that are alike would not share
 * pages, but hard links would), generated and prepared where they are not there yet.
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
    models.push({ id, directory, bytes });
  }
  await prepare(models, progress);
  return models;
}

/**
 * The model with its fp32 weights quantised, and nothing else changed; prepared.
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
  const quantised = { id, directory, bytes };
  await prepare([quantised], progress);
  return quantised;
}

/** Writes the mapped forms that are missing, with the program's own command. */
export async function prepare(models: readonly CachedModel[], progress: Progress): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-models-'));
  try {
    for (const { id, directory } of models) await symlink(directory, path.join(folder, id));
    await mkdir(mappedFolder(), { recursive: true });
    progress.at(`preparing ${models.length} models`);
    const data = path.join(benchFolder(), 'data');
    const args = [serverProgram, 'models', '--prepare', '--models', folder, '--data', data];
    const child = spawn(process.execPath, args, {
      env: serverEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let words = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        words += chunk.toString();
      });
    }
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    if (code !== 0 || words.includes('not prepared yet')) {
      throw new Error(`the models could not be prepared: ${words.slice(-1000)}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
