/** Every part of a document that is written from the kept results. Pure. */
import type { Result } from '../harness/report.js';
import { piecesTable } from './deploy-table.js';
import { familiesTable } from './families-table.js';
import { figuresPage } from './figures-page.js';
import { withLinesBetween } from './lines.js';
import { readmeFigures } from './readme-figures.js';
import { scaleTables } from './scale-tables.js';

type Parts = Readonly<Record<string, readonly string[]>>;

/** By document, from the root of the project: the lines between its marks, by their name. */
const PARTS: Readonly<Record<string, (results: readonly Result[]) => Parts>> = {
  'README.md': (results) => ({ figures: readmeFigures(results) }),
  'docs/models.md': (results) => ({ families: familiesTable(results) }),
  'docs/scale.md': scaleTables,
  'docs/deploy.md': (results) => ({ pieces: piecesTable(results) }),
};

/** Written as a whole; the others are written by hand, except between marks. */
const FIGURES_PAGE = 'docs/figures.md';

export const DOCUMENTS: readonly string[] = [FIGURES_PAGE, ...Object.keys(PARTS)];

/** The document as the results make it. @throws Error without its marks, or if a result is missing */
export function documentFrom(
  results: readonly Result[],
  { name, text }: { readonly name: string; readonly text: string },
): string {
  if (name === FIGURES_PAGE) return figuresPage(results);
  return Object.entries(PARTS[name]?.(results) ?? {}).reduce(
    (document, [mark, lines]) => withLinesBetween(document, mark, lines),
    text,
  );
}
