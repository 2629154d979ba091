/** `plimsoll models --prepare` on one model, with the memory that its throw-away processes took. */
import { spawn } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { readStatus } from '../../../src/system/process-memory.js';
import type { Deferring } from '../benchmark.js';
import type { CachedModel } from '../models.js';
import { serverEnvironment, serverProgram, temporaryFolder } from '../program.js';

/** Peaks of some 10 ms are missed at most by this. */
const SAMPLE_MS = 4;
const MB = 2 ** 20;

export interface Prepared {
  readonly seconds: number;
  /** Highest anonymous memory (RssAnon) of one of its processes, the command's own aside. */
  readonly peakMb: number;
  readonly output: string;
  /** Folder of its data, with the mapped form. */
  readonly data: string;
}

/** @throws Error if it fails */
export async function prepareOnce(
  context: Deferring,
  { id, directory, dtype = 'fp32' }: CachedModel,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Prepared> {
  const folder = await temporaryFolder(context, 'prepare');
  await symlink(directory, path.join(folder, id));
  const data = await temporaryFolder(context, 'data');
  const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const flags = ['--models', folder, '--data', data, '--dtype', dtype, ...set];
  const begun = performance.now();
  const child = spawn(process.execPath, [serverProgram, 'models', '--prepare', ...flags], {
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  let peakBytes = 0;
  const timer = setInterval(() => {
    void highestChild(child.pid ?? 0).then((bytes) => {
      peakBytes = Math.max(peakBytes, bytes);
    });
  }, SAMPLE_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => clearInterval(timer));
  if (code !== 0) throw new Error(`${id} could not be prepared: ${output.slice(-800)}`);
  const seconds = (performance.now() - begun) / 1000;
  return { seconds, peakMb: peakBytes / MB, output, data };
}

/** RssAnon of the process with the most, among the children of `pid`; 0 when there are none. */
async function highestChild(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const each = children
    .split(' ')
    .filter((child) => child.trim() !== '')
    .map((child) => readStatus(Number(child)));
  return (await Promise.all(each)).reduce(
    (most, status) => Math.max(most, status?.anonymousBytes ?? 0),
    0,
  );
}
