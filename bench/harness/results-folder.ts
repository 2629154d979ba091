/** bench/results: the last result of each benchmark, one JSON file each. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { projectFolder } from './program.js';
import type { Result } from './report.js';

export const resultsFolder = path.join(projectFolder, 'bench', 'results');

/** Keeps the result in the place of the one before, with its pictures. */
export async function keepResult({ pictures = {}, ...result }: Result): Promise<void> {
  for (const [file, text] of Object.entries(pictures)) {
    await writeFile(path.join(projectFolder, file), text);
  }
  await mkdir(resultsFolder, { recursive: true });
  await writeFile(
    path.join(resultsFolder, `${[result.name, result.model].filter(Boolean).join('-')}.json`),
    `${JSON.stringify(result, null, 2)}\n`,
  );
}

/** All results that are kept, by name. */
export async function readResults(): Promise<readonly Result[]> {
  const names = await readdir(resultsFolder).catch(() => []);
  const files = names.filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    files.map(async (file): Promise<Result> => {
      return JSON.parse(await readFile(path.join(resultsFolder, file), 'utf8'));
    }),
  );
}
