/** Parts of both documents of figures. Pure. */
import type { Machine } from '../harness/machine/machine.js';
import type { Result } from '../harness/report.js';

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A table of Markdown; bars within cells are escaped. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

export function commandOf({ name, model }: Pick<Result, 'name' | 'model'>): string {
  return `npm run bench -- ${name}${model === undefined ? '' : ` --model ${model}`}`;
}

export function shownMachine(of: Machine): string {
  const gigabytes = (of.memory_mb / 1024).toFixed(0);
  const kernel = /^\d+\.\d+/.exec(of.kernel)?.[0] ?? of.kernel;
  const node = of.node.replace(/^v/, '');
  return `${of.cores} cores of ${of.cpu_model}, ${gigabytes} GB, Linux ${kernel}, ${of.libc}, Node ${node}`;
}

export function shownDisturbance({ disturbed_by: reasons }: Pick<Result, 'disturbed_by'>): string {
  if (reasons === undefined) return 'other work on the machine was not recorded';
  return reasons.length === 0 ? 'undisturbed' : `**disturbed**: ${reasons.join('; ')}`;
}

/** The document with other lines between its marks `<!-- name -->` and `<!-- /name -->`. @throws Error without marks */
export function withLinesBetween(document: string, name: string, lines: readonly string[]): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [document.indexOf(start), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the marks ${start} and ${end} are missing`);
  const before = document.slice(0, from + start.length);
  return `${before}\n${lines.join('\n')}\n${document.slice(to)}`;
}
