/** How figures are written for readers, the same everywhere. */

const NOT_MEASURED = '–';

/** Decimals by size: three significant digits, whole numbers from 100 on. */
function digits(value: number): number {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return 0;
  return size >= 10 ? 1 : 2;
}

function fixed(value: number, places: number): string {
  const written = value.toLocaleString('en-US', {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
  // "-0.00" would look like a loss.
  return /^-[0.,]*$/.test(written) ? written.slice(1) : written.replace('-', '−');
}

export function count(value: number | null): string {
  return value === null ? NOT_MEASURED : fixed(value, 0);
}

export function plain(value: number | null): string {
  return value === null ? NOT_MEASURED : fixed(value, digits(value));
}

export function ms(value: number | null): string {
  return value === null ? NOT_MEASURED : `${fixed(value, digits(value))} ms`;
}

export function seconds(valueMs: number | null): string {
  return valueMs === null ? NOT_MEASURED : `${fixed(valueMs / 1000, 2)} s`;
}

/** One decimal, none from 1,000 on: memory readings are no finer than some pages. */
export function mb(value: number | null): string {
  if (value === null) return NOT_MEASURED;
  return `${fixed(value, Number.isInteger(value) || Math.abs(value) >= 1000 ? 0 : 1)} MB`;
}

export function kb(value: number | null): string {
  return value === null ? NOT_MEASURED : `${fixed(value, digits(value))} KB`;
}

export function percent(value: number | null): string {
  return value === null ? NOT_MEASURED : `${fixed(value, Number.isInteger(value) ? 0 : 2)} %`;
}

/** p-values: below 0.001 the exact value does not matter. */
export function probability(value: number | null): string {
  if (value === null) return NOT_MEASURED;
  return value < 0.001 ? 'below 0.001' : fixed(value, 3);
}

export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Longer lists are cut: a soak has thousands of sessions. */
const MOST_LISTED = 20;

/** `a`, `a and b`, `a, b and c`. */
export function list(values: readonly (string | number)[]): string {
  if (values.length > MOST_LISTED) {
    const rest = values.length - MOST_LISTED;
    return `${values.slice(0, MOST_LISTED).join(', ')} and ${count(rest)} more`;
  }
  if (values.length < 2) return values.join('');
  return `${values.slice(0, -1).join(', ')} and ${values.at(-1)}`;
}

/** A finding and its notes; of many notes the first ones. */
export function notes(found: string, more: readonly string[]): string {
  const shown = more.slice(0, MOST_LISTED);
  const rest = more.length - shown.length;
  return [found, ...shown, ...(rest > 0 ? [`${count(rest)} more such`] : [])].join('; ');
}

/** A Markdown table: header, delimiter row, rows. Figures are right-aligned. A `|` in a cell is escaped. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  cells: 'figures' | 'words' = 'figures',
): readonly string[] {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  const rule = header.map((_, index) => (index === 0 || cells === 'words' ? '---' : '---:'));
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)];
}
