/** `npm run docs:figures`: writes the kept results into the documents. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { projectFolder } from '../harness/program.js';
import { readResults } from '../harness/results-folder.js';
import { familiesTable } from './families-table.js';
import { figuresPage } from './figures-page.js';
import { withLinesBetween } from './lines.js';
import { readmeFigures } from './readme-figures.js';

export async function writeFigures(): Promise<void> {
  const results = await readResults();
  const readme = path.join(projectFolder, 'README.md');
  const text = withLinesBetween(await readFile(readme, 'utf8'), 'figures', readmeFigures(results));
  await writeFile(path.join(projectFolder, 'docs', 'figures.md'), figuresPage(results));
  await writeFile(readme, text);
  const models = path.join(projectFolder, 'docs', 'models.md');
  const page = await readFile(models, 'utf8');
  await writeFile(models, withLinesBetween(page, 'families', familiesTable(results)));
  console.log(
    `written: docs/figures.md, docs/models.md and README.md, from ${results.length} results`,
  );
}
