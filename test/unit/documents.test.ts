import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { DOCUMENTS, documentFrom } from '../../bench/figures/documents.js';
import { readResults } from '../../bench/harness/results-folder.js';
import { ERRORS } from '../../src/errors.js';
import { referenceTable } from '../../src/proof/report/markdown-load.js';
import { settingsDocument } from '../../src/settings/document.js';

function document(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
}

/** The rows of a table, without the padding that the formatter gives its cells. */
function rowsOf(table: string): readonly string[] {
  return table
    .split('\n')
    .map((line) =>
      line
        .trim()
        .replaceAll(/\s*\|\s*/g, ' | ')
        .trim()
        .replaceAll(/-{3,}/g, '---'),
    )
    .filter((line) => line.startsWith('|'));
}

/** The lines of the table of errors, as docs/errors.md must have them. */
function errorRows(): readonly string[] {
  return Object.entries(ERRORS).map(
    ([code, { status, retryable, about }]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${about} |`,
  );
}

test('docs/errors.md lists every error of the code, and no other', () => {
  const rows = rowsOf(document('docs/errors.md')).filter((row) => row.startsWith('| `'));
  expect(rows).toEqual(errorRows());
});

test('docs/settings.md is what the program writes', () => {
  const hint = 'run `node dist/main.js config --markdown > docs/settings.md`';
  expect(document('docs/settings.md'), hint).toBe(settingsDocument());
});

test('docs/proof.md has the figures of the kept report beside those of the reference', () => {
  const packed = readFileSync(new URL('../../docs/proof/reference.json.gz', import.meta.url));
  const report = JSON.parse(gunzipSync(packed).toString('utf8'));
  const [, table = ''] =
    /<!-- reference -->\n([\s\S]*?)<!-- \/reference -->/.exec(document('docs/proof.md')) ?? [];
  expect(rowsOf(table), 'run `npm run docs:reference`').toEqual(
    rowsOf(referenceTable(report).join('\n')),
  );
  expect(report.verdict).toBe('passed');
});

test.each(DOCUMENTS)('%s has the figures of the kept results', async (name) => {
  const text = document(name);
  expect(text, 'run `npm run docs:figures`').toBe(
    documentFrom(await readResults(), { name, text }),
  );
});
