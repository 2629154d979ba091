/** What a part is called, and what is in it. Pure. */
import { createHash } from 'node:crypto';
import type { Compression, FileFormat, JobRequest } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import { extensionOf, formatOf, isPackedParquet, packingOf } from '../files/names.js';
import type { FileRef } from '../files/place.js';
import type { Columns, ColumnTypes, InputOptions, OutputOptions } from '../formats/format.js';
import type { JobModel, Shard } from '../queue/queue.js';
import type { AnsweredRow } from './answered-rows.js';
import {
  type AskedTask,
  keptColumns,
  LAST_COLUMNS,
  modelColumns,
  readColumns,
  textColumns,
} from './asked.js';

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

/** @throws InputError if neither the request nor the file’s name tells what it is, or it cannot be read as that */
export function inputOptionsOf(request: JobRequest, { url }: FileRef): InputOptions {
  const named = formatOf(url);
  const compression = named?.compression ?? packingOf(url);
  const format = request.input_format ?? named?.format;
  if (compression !== 'none' && (format === 'parquet' || isPackedParquet(url))) {
    throw new InputError(
      `${url}: Parquet within ${compression} cannot be read by ranges: unpack it first; Parquet packs its columns itself`,
    );
  }
  if (format === undefined) {
    const known = '.jsonl, .csv, .tsv or .parquet, plain or with .gz or .zst';
    throw new InputError(
      `${url}: its name does not end in ${known}; say what it is with input_format (--input-format)`,
    );
  }
  const delimiter = request.delimiter ?? named?.delimiter;
  const columns = { columns: readColumns(request), texts: textColumns(request) };
  return { format, compression, delimiter, ...columns };
}

/** The request with the format of its parts: the one that is asked for, else that of the first file of the input. */
export function withFormat(request: JobRequest, first: FileRef): JobRequest {
  return { ...request, format: request.format ?? inputOptionsOf(request, first).format };
}

/** The format of a part. Jobs name it from the start; of those that older versions took, it is that of the file. */
export function partFormat(
  request: JobRequest,
  file: FileRef,
): { readonly format: FileFormat; readonly compression: Compression } {
  const format = request.format ?? inputOptionsOf(request, file).format;
  return { format, compression: request.compression ?? 'none' };
}

/**
 * Columns of the input that are kept beside those of the answer: no name stands for two of them.
 *
 * @throws InputError naming the column
 */
export function assertNamesApart(request: JobRequest, { columns }: Pick<AskedTask, 'columns'>) {
  const { id, keep = [] } = request;
  const twice = keep.find((name, index) => keep.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InputError(`keep (--keep) names ${JSON.stringify(twice)} twice`);
  const written = [...columns, ...LAST_COLUMNS].map(({ name }) => name);
  const taken = [id, ...keep].find((name) => name !== undefined && written.includes(name));
  if (taken === undefined) return;
  throw new InputError(
    `id and keep (--id, --keep) cannot name ${JSON.stringify(taken)}: the parts have a column of that name themselves (${written.join(', ')}); leave it out, or give it another name in the input`,
  );
}

/**
 * How a part is written.
 *
 * @param types of the input’s columns, by its file alone, so that all parts of a file have the same
 */
export function outputOptionsOf(
  request: JobRequest,
  file: FileRef,
  task: AskedTask,
  types: ColumnTypes,
): OutputOptions {
  const kept = keptColumns(request).map((name) => ({ name, type: types.get(name) ?? 'text' }));
  const columns = [...kept, ...task.columns, ...LAST_COLUMNS];
  return { ...partFormat(request, file), columns };
}

/**
 * Makes the rows of a part. Each is put together name by name, in the same order: V8 then keeps it in the form of the others. Spread out
 * of several objects it would be a table of its own, ten times as large, and a part in Parquet holds thousands of them.
 */
export function partRows(
  request: JobRequest,
  task: AskedTask,
  model: JobModel,
): (answered: AnsweredRow) => Columns {
  const kept = keptColumns(request);
  const asked = task.columns.map(({ name }) => name);
  const ofModel = Object.entries(modelColumns(model));
  return (answered) => {
    const { row } = answered;
    const columns = 'columns' in row ? row.columns : {};
    const answer = 'answer' in answered ? answered.answer : {};
    const written: Record<string, unknown> = {};
    for (const name of kept) put(written, name, ownOf(columns, name));
    for (const name of asked) written[name] = answer[name] ?? null;
    for (const [name, value] of ofModel) written[name] = value;
    written.error = 'bad' in answered ? `row ${row.at} of this part: ${answered.bad}` : null;
    return written;
  };
}

/** Names of columns are the input’s: they may be those that every object has. */
function ownOf(columns: Columns, name: string): unknown {
  return Object.hasOwn(columns, name) ? (columns[name] ?? null) : null;
}

function put(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') row[name] = value;
  else Object.defineProperty(row, name, { value, enumerable: true });
}
