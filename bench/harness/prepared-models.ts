/** Where models and their mapped forms are kept between runs (20 bert-base take 21 GB), and how forms are made. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Dtype } from '../../src/models/intake/dtype.js';
import { NotRunError } from './benchmark.js';
import { projectFolder, serverEnvironment, serverProgram } from './program.js';
import type { Progress } from './progress.js';

/** The tokenizer that synthetic models get: `PLIMSOLL_BENCH_TOKENIZER`, else the bundled model's. */
export function tokenizerFolder(): string {
  return process.env.PLIMSOLL_BENCH_TOKENIZER ?? path.join(projectFolder, 'models', 'spam');
}

/**
 * In `PLIMSOLL_BENCH_DIR`, else in the system's temporary folder. Each tokenizer has its own place: two
 * checkouts that take turns must not rewrite each other's models.
 *
 * @throws NotRunError if there is no tokenizer
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

interface Preparable {
  readonly id: string;
  readonly directory: string;
  readonly dtype?: Dtype | 'auto';
}

/** Makes the mapped forms that are missing, with the program's own command. */
export async function prepare(models: readonly Preparable[], progress: Progress): Promise<void> {
  for (const dtype of new Set(models.map(({ dtype = 'fp32' }) => dtype))) {
    const group = models.filter((model) => (model.dtype ?? 'fp32') === dtype);
    await prepareAll(group, dtype, progress);
  }
}

async function prepareAll(
  models: readonly Preparable[],
  dtype: Dtype | 'auto',
  progress: Progress,
): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-models-'));
  try {
    for (const { id, directory } of models) await symlink(directory, path.join(folder, id));
    await mkdir(mappedFolder(), { recursive: true });
    progress.at(`preparing ${models.length} models`);
    const data = path.join(benchFolder(), 'data');
    const args = [serverProgram, 'models', '--prepare', '--models', folder, '--data', data];
    args.push('--dtype', dtype);
    const child = spawn(process.execPath, args, {
      env: serverEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        progress.at(`preparing: ${text.trimEnd().split('\n').at(-1)}`);
      });
    }
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    if (code !== 0 || printed.includes('not prepared yet')) {
      throw new Error(`the models could not be prepared: ${printed.slice(-1000)}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
