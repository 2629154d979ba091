/** `npm run docs:figures`: writes the kept results into the documents. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { projectFolder } from '../harness/program.js';
import { readResults } from '../harness/results-folder.js';
import { figuresPage } from './figures-page.js';
import { withLinesBetween } from './lines.js';
import { readmeFigures } from './readme-figures.js';

export async function writeFigures(): Promise<void> {
  const results = await readResults();
  const readme = path.join(projectFolder, 'README.md');
  const text = withLinesBetween(await readFile(readme, 'utf8'), 'figures', readmeFigures(results));
  await writeFile(path.join(projectFolder, 'docs', 'figures.md'), figuresPage(results));
  await writeFile(readme, text);
  console.log(`written: docs/figures.md and README.md, from ${results.length} results`);
}
