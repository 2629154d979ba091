import type { JobRequest } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import type { FileRef, Writer } from '../files/place.js';
import type { Places } from '../files/places.js';
import type { InputOptions, InputRow, ShardRange } from '../formats/format.js';
import type { Formats } from '../formats/formats.js';
import type { Shard, ShardResult } from '../queue/queue.js';
import { reading } from './failures.js';
import { inputOptionsOf, partFormat } from './part.js';

export interface PartAccess {
  readonly places: Pick<Places, 'list'>;
  readonly formats: Pick<Formats, 'input'>;
  readonly writer: Pick<Writer, 'find' | 'bytesOf'>;
}

export type FoundPart = Pick<ShardResult, 'part' | 'bytes' | 'sha256' | 'rows' | 'bad'>;

/**
 * A part that an earlier run of the same request wrote. Its name is a function of the file's version, the range, what is asked and the
 * model, so it is what would be written now, if it is whole:
 *
 * 1. it can be read, and has as many rows as the shard has now.
 * 2. Otherwise it is `damaged`, and to be replaced.
 *
 * No model runs for it: the shard is read, and so is the part.
 *
 * @throws ShardFailure if the shard cannot be read
 */
export async function findExistingPart(
  part: string,
  request: JobRequest,
  { file, range }: Shard,
  { places, formats, writer }: PartAccess,
  signal: AbortSignal,
): Promise<FoundPart | 'damaged' | undefined> {
  if ((await writer.bytesOf(part, signal)) === undefined) return undefined;
  const options = inputOptionsOf(request, file);
  const read = formats.input(options.format).read(file, range, options, signal);
  let rows = 0;
  for await (const slice of reading(read)) rows += slice.length;
  try {
    const found = await writer.find(part, signal);
    if (found === undefined) return undefined;
    const written = partOptions(request, file);
    const lines = { rows: 0, bad: 0, broken: 0 };
    for await (const listed of places.list([found.url], signal)) {
      const whole = wholeOf(listed, written);
      const slices = formats.input(written.format).read(listed, whole, written, signal);
      for await (const slice of slices) for (const row of slice) count(row, lines);
    }
    if (lines.rows !== rows || lines.broken > 0) return 'damaged'; // 2
    return { part, bytes: found.bytes, sha256: found.sha256, rows, bad: lines.bad }; // 1
  } catch (error) {
    if (error instanceof InputError) return 'damaged';
    throw error;
  }
}

function partOptions(request: JobRequest, file: FileRef): InputOptions {
  return { ...partFormat(request, file), delimiter: ',', columns: ['error'] };
}

function wholeOf({ bytes }: FileRef, { format, compression }: InputOptions): ShardRange {
  const isCounted = format === 'parquet' || compression !== 'none';
  return isCounted ? { unit: 'rows', start: 0 } : { unit: 'bytes', start: 0, end: bytes };
}

function count(row: InputRow, lines: { rows: number; bad: number; broken: number }): void {
  lines.rows += 1;
  if ('bad' in row || !Object.hasOwn(row.columns, 'error')) lines.broken += 1;
  // An empty field is what CSV has for null.
  else if (row.columns.error !== null && row.columns.error !== '') lines.bad += 1;
}
