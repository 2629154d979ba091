/** `npm run docs:figures`: writes the kept results into the documents. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { projectFolder } from '../harness/program.js';
import { readResults } from '../harness/results-folder.js';
import { DOCUMENTS, documentFrom } from './documents.js';

export async function writeFigures(): Promise<void> {
  const results = await readResults();
  for (const name of DOCUMENTS) {
    const file = path.join(projectFolder, name);
    await writeFile(file, documentFrom(results, { name, text: await readFile(file, 'utf8') }));
  }
  console.log(`written: ${DOCUMENTS.join(', ')}, from ${results.length} results`);
}
