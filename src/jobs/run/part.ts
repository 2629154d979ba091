/** What a part is called, and what is in it. Pure. */
import { createHash } from 'node:crypto';
import type { Compression, FileFormat, JobRequest } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import { extensionOf, formatOf } from '../files/names.js';
import type { FileRef } from '../files/place.js';
import type { Columns, InputOptions, OutputColumn, OutputOptions } from '../formats/format.js';
import type { JobModel, Shard } from '../queue/queue.js';
import type { AnsweredRow } from './answered-rows.js';
import { type AskedTask, keptColumns, LAST_COLUMNS, modelColumns, readColumns } from './asked.js';

const HASH_CHARACTERS = 20;

/** A job’s id: the same request is the same job. */
export function jobIdOf(request: JobRequest): string {
  const entries = Object.entries(request).filter(([, value]) => value !== undefined);
  const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16);
}

/**
 * A part’s name: a function of what is asked, of the rows it is asked for, and of the model. Nothing else counts, so a part that is there
 * is what would be written: a job that is run again keeps those of the files that have not changed, whatever came between them. The
 * number in it is that of the first byte or row, so that the parts of a file sort by their rows.
 */
export function partNameOf(request: JobRequest, { file, range }: Shard, model: JobModel): string {
  const rows = [file.url, file.version, range.unit, range.start, range.end];
  const what = [jobIdOf(request), ...rows, model.commit, model.dtype];
  const hash = createHash('sha256').update(JSON.stringify(what)).digest('hex');
  const { format, compression } = partFormat(request, file);
  const number = String(range.start).padStart(12, '0');
  return `part-${number}-${hash.slice(0, HASH_CHARACTERS)}${extensionOf(format, compression)}`;
}

export function manifestNameOf(job: string): string {
  return `manifest-${job}.json`;
}

/** @throws InputError if neither the request nor the file’s name tells what it is */
export function inputOptionsOf(request: JobRequest, { url }: FileRef): InputOptions {
  const named = formatOf(url);
  const format = request.input_format ?? named?.format;
  if (format === undefined) {
    const known = '.jsonl, .csv, .tsv or .parquet, plain or with .gz or .zst';
    throw new InputError(
      `${url}: its name does not end in ${known}; say what it is with input_format (--input-format)`,
    );
  }
  const compression = named?.compression ?? packingOf(url);
  const delimiter = request.delimiter ?? named?.delimiter;
  return { format, compression, delimiter, columns: readColumns(request) };
}

/** Of a file whose format was told, not its packing. */
function packingOf(url: string): Compression {
  if (/\.gz(ip)?$/i.test(url)) return 'gzip';
  return /\.zstd?$/i.test(url) ? 'zstd' : 'none';
}

/** The format of a part: the one that is asked for, else that of its file. */
export function partFormat(
  request: JobRequest,
  file: FileRef,
): { readonly format: FileFormat; readonly compression: Compression } {
  const format = request.format ?? inputOptionsOf(request, file).format;
  return { format, compression: request.compression ?? 'none' };
}

/** How a part is written. `first`: its first rows; they tell what the kept columns hold. */
export function outputOptionsOf(
  request: JobRequest,
  file: FileRef,
  task: AskedTask,
  first: readonly Columns[],
): OutputOptions {
  const kept = keptColumns(request).map((name) => ({ name, type: typeOf(name, first) }));
  const columns = [...kept, ...task.columns, ...LAST_COLUMNS];
  return { ...partFormat(request, file), columns };
}

function typeOf(name: string, rows: readonly Columns[]): OutputColumn['type'] {
  const values = rows.map((row) => row[name]).filter((value) => value != null);
  if (values.length === 0 || values.some((value) => typeof value === 'string')) return 'text';
  if (values.every((value) => typeof value === 'boolean')) return 'flag';
  if (values.every((value) => typeof value === 'number')) return 'number';
  return 'json';
}

/** A row of a part. */
export function partRow(
  answered: AnsweredRow,
  request: JobRequest,
  task: AskedTask,
  model: JobModel,
): Columns {
  const { row } = answered;
  const columns = 'columns' in row ? row.columns : {};
  const names = keptColumns(request);
  const kept = Object.fromEntries(names.map((name) => [name, columns[name] ?? null]));
  if ('answer' in answered) {
    return { ...kept, ...answered.answer, ...modelColumns(model), error: null };
  }
  const none = Object.fromEntries(task.columns.map(({ name }) => [name, null]));
  const error = `row ${row.at} of this part: ${answered.bad}`;
  return { ...kept, ...none, ...modelColumns(model), error };
}
