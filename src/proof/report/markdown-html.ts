/**
 * Converts the Markdown of the report to HTML: headings, tables, lists, fenced text, bold, italics and code. Not
 * a general converter. All text is escaped first.
 */

/** The delimiter row of a table: its cells tell which columns hold figures. */
const RULE = /^\|(?: ---:? \|)+$/;
/** A `|` that separates cells, unlike one that {@link table} escaped. */
const CELL_END = /(?<!\\)\|/;

export function htmlOf(markdown: string): string {
  const lines = markdown.split('\n');
  const out: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? '';
    const block = blockAt(lines, at);
    at += block.length;
    if (line.startsWith('```'))
      out.push(`<pre>${block.slice(1, -1).map(escaped).join('\n')}</pre>`);
    else if (line.startsWith('|')) out.push(tableOf(block));
    else if (line.startsWith('- ')) out.push(listOf(block));
    else if (line.startsWith('#')) out.push(headingOf(line));
    else if (line !== '') out.push(`<p>${inline(line)}</p>`);
  }
  return out.join('\n');
}

/** The lines of one block, from `at` on; at least one. */
function blockAt(lines: readonly string[], at: number): readonly string[] {
  const first = lines[at] ?? '';
  let end = at + 1;
  if (first.startsWith('```')) {
    while (end < lines.length && lines[end] !== '```') end += 1;
    return lines.slice(at, end + 1);
  }
  const sign = ['|', '- '].find((start) => first.startsWith(start));
  if (sign !== undefined) while (lines[end]?.startsWith(sign)) end += 1;
  return lines.slice(at, end);
}

function headingOf(line: string): string {
  const level = /^#+/.exec(line)?.[0].length ?? 1;
  return `<h${level}>${inline(line.slice(level + 1))}</h${level}>`;
}

function listOf(lines: readonly string[]): string {
  return `<ul>${lines.map((line) => `<li>${inline(line.slice(2))}</li>`).join('')}</ul>`;
}

function tableOf(lines: readonly string[]): string {
  const rule = lines.find((line) => RULE.test(line)) ?? '';
  const figures = cellsOf(rule).map((cell) => cell.endsWith(':'));
  const row = (line: string, tag: 'th' | 'td') => {
    const cells = cellsOf(line).map((cell, index) => {
      const kind = figures[index] === true ? ' class="figure"' : '';
      return `<${tag}${kind}${tag === 'th' ? ' scope="col"' : ''}>${inline(cell)}</${tag}>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  };
  const [header = '', , ...rows] = lines;
  const body = rows.map((line) => row(line, 'td')).join('\n');
  return `<div class="wide" tabindex="0"><table><thead>${row(header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
}

function cellsOf(line: string): readonly string[] {
  const cells = line.split(CELL_END).slice(1, -1);
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** A whole line in italics may hold code. */
function inline(text: string): string {
  const italics = /^_(.*)_$/.exec(text)?.[1];
  return italics === undefined ? spans(text) : `<em>${spans(italics)}</em>`;
}

/** Code first: its contents are not mark-up. */
function spans(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) =>
      /^`.*`$/.test(part)
        ? `<code>${escaped(part.slice(1, -1))}</code>`
        : escaped(part).replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>'),
    )
    .join('');
}

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
