/** What the name of a file says of what is in it. Pure. */
import type { Compression, FileFormat } from '../../contract/jobs.js';

export interface NamedFormat {
  readonly format: FileFormat;
  readonly compression: Compression;
  /** `.tsv`; undefined: found by the first line. */
  readonly delimiter?: string;
}

const FORMATS: Readonly<Record<string, Omit<NamedFormat, 'compression'>>> = {
  jsonl: { format: 'jsonl' },
  ndjson: { format: 'jsonl' },
  json: { format: 'jsonl' },
  csv: { format: 'csv' },
  tsv: { format: 'csv', delimiter: '\t' },
  parquet: { format: 'parquet' },
};
const COMPRESSIONS: Readonly<Record<string, Compression>> = {
  gz: 'gzip',
  gzip: 'gzip',
  zst: 'zstd',
  zstd: 'zstd',
};

/** The path of a place, without what follows it in the addresses of http(s)://: in all others `?` and `#` belong to a name. */
function pathOfAddress(url: string): string {
  return /^https?:\/\//i.test(url) ? url.replace(/[?#].*$/s, '') : url;
}

/**
 * `mails.csv.gz` is CSV, packed with gzip.
 *
 * @param url a path or an address; a query after it does not count
 * @returns undefined if the name says nothing that can be read
 */
export function formatOf(url: string): NamedFormat | undefined {
  const [last = '', before = ''] =
    pathOfAddress(url).toLowerCase().split('/').at(-1)?.split('.').slice(1).reverse() ?? [];
  const compression = COMPRESSIONS[last];
  const format = FORMATS[compression === undefined ? last : before];
  if (format === undefined) return undefined;
  // Parquet packs its columns itself: a packed one cannot be read by ranges.
  if (format.format === 'parquet' && compression !== undefined) return undefined;
  return { ...format, compression: compression ?? 'none' };
}

/** How a file is packed whose name may say no more than that. */
export function packingOf(url: string): Compression {
  const path = pathOfAddress(url);
  if (/\.gz(ip)?$/i.test(path)) return 'gzip';
  return /\.zstd?$/i.test(path) ? 'zstd' : 'none';
}

/** `mails.parquet.gz`, of which {@link formatOf} says nothing. */
export function isPackedParquet(url: string): boolean {
  return /\.parquet\.[^./]+$/i.test(pathOfAddress(url));
}

/** Whether a folder’s file is meant as input: `.json` is anything, and `_SUCCESS` and the like are marks of other programs. */
export function isInputName(name: string): boolean {
  if (/^[._]/.test(name) || /\.json(\.[a-z]+)?$/i.test(name)) return false;
  return formatOf(name) !== undefined;
}

/** Whether a job gave a file that name: its parts and its manifest. */
export function isWrittenName(name: string): boolean {
  return /^part-\d+-[0-9a-f]+\./.test(name) || /^manifest-[0-9a-f]+\.json$/.test(name);
}

/** What a part is called behind its name. */
export function extensionOf(format: FileFormat, compression: Compression): string {
  const packed = { none: '', gzip: '.gz', zstd: '.zst' }[compression];
  return format === 'parquet' ? '.parquet' : `.${format}${packed}`;
}
