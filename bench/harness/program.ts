/** Where things are, and what the program that is measured is started with. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Deferring } from './benchmark.js';

/** Compiled, this file lies deeper than its source: the folder is found by what lies in it. */
function folderAbove(folder: string): string {
  if (existsSync(path.join(folder, 'package.json'))) return folder;
  const parent = path.dirname(folder);
  if (parent === folder) throw new Error('there is no package.json above the benchmarks');
  return folderAbove(parent);
}

export const projectFolder = folderAbove(path.dirname(fileURLToPath(import.meta.url)));

/** Read here, as `src/version.ts` would look for it beside the compiled benchmarks. */
export const projectVersion = versionIn(path.join(projectFolder, 'package.json'));

function versionIn(manifest: string): string {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };
  return version;
}

/** The built program that is measured. */
export const serverProgram = path.join(projectFolder, 'dist', 'main.js');

/**
 * The environment of the server under test: ours without its settings, so that a variable of the
 * caller's shell changes no figure (and because the server refuses names that it does not know).
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PLIMSOLL_') && name !== 'NODE_OPTIONS',
  );
  return Object.fromEntries(kept);
}

/** A fresh folder that goes with the benchmark. */
export async function temporaryFolder(context: Deferring, purpose: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), `plimsoll-bench-${purpose}-`));
  context.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
