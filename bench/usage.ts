/** What the command line says of itself. */
import { areas, benchmarks } from './index.js';

const WIDTH = Math.max(...benchmarks.map(({ name }) => name.length));

export function usage(): string {
  const chapters = areas.flatMap(({ title, benchmarks: of }) => [
    `${title}:`,
    ...of.map(({ name, about, notInAll }) => {
      return `  ${name.padEnd(WIDTH)}  ${about}${notInAll === true ? ' (not part of all)' : ''}`;
    }),
    '',
  ]);
  return [
    'npm run bench -- NAME [--json] [--quick] [--model MODEL] [--keep]',
    '',
    ...chapters,
    `  ${'all'.padEnd(WIDTH)}  every one of them; keeps the results in bench/results/`,
    `  ${'list'.padEnd(WIDTH)}  this text`,
    '',
    '  --json   the last line of output is the result as JSON',
    '  --quick  small counts, only to see that it works: nothing is kept',
    '  --model  that model only, where several are measured: spam, minilm, distilbert, bert-base',
    '  --keep   keeps the result in bench/results/, as `all` does',
    '',
    'Exit code: 0 every check holds, 1 one does not, 2 wrong call, 3 something could not be measured here.',
    'PLIMSOLL_BENCH_DIR: where models are kept between runs (about 21 GB for density).',
    'PLIMSOLL_BENCH_TOKENIZER: folder of the tokenizer that they get (default: models/spam).',
    '`npm run docs:figures` writes the kept results into docs/figures.md and README.md.',
  ].join('\n');
}

/** A sentence with the names that look like a wrong one; empty if none does. */
export function likely(wrong: string): string {
  const names = [...benchmarks.map(({ name }) => name), 'all', 'list'];
  const close = names
    .map((name) => ({ name, distance: editDistance(wrong, name) }))
    .filter(
      ({ name, distance }) => distance <= Math.max(2, name.length / 3) || name.includes(wrong),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
  return close.length === 0 ? '' : ` Did you mean ${close.join(' or ')}?`;
}

/** Letters to insert, remove or replace: V. I. Levenshtein (1966), by rows. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
