import type { JobRequest } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import type { FileRef } from '../files/place.js';
import type { Places } from '../files/places.js';
import type { ShardRange } from '../formats/format.js';
import type { Formats } from '../formats/formats.js';
import { JobFailure, type PlannedShard, type PlanPiece, ShardFailure } from '../queue/queue.js';
import { failureOf, readFailureOf } from './failures.js';
import { inputOptionsOf } from './part.js';

/** Shards of a piece of planning. */
const PLAN_SHARDS = 100;
const DEFAULT_SHARD_ROWS = 4000;

export interface PlanningParts {
  readonly places: Pick<Places, 'list'>;
  readonly formats: Pick<Formats, 'input'>;
}

/**
 * Lists the input and cuts it into shards.
 *
 * 1. Each file once, in the order of the patterns.
 * 2. A file that cannot be cut is noted with its reason, and the others go on. What was cut of it before stays; the rest of the file
 *    is the shard that failed.
 * 3. So is a pattern that names no file, if there are others. A job of that pattern alone fails.
 */
export async function* planPieces(
  request: JobRequest,
  parts: PlanningParts,
  signal: AbortSignal,
): AsyncGenerator<PlanPiece> {
  const patterns = typeof request.input === 'string' ? [request.input] : request.input;
  const seen = new Set<string>();
  let shards: PlannedShard[] = [];
  let [index, files, bytes] = [0, 0, 0];
  for (const pattern of patterns) {
    for await (const file of listed(
      pattern,
      patterns.length === 1,
      parts,
      request.output,
      signal,
    )) {
      if (seen.has(file.url)) continue; // 1
      if (patterns.length > 1) seen.add(file.url);
      files += 1;
      bytes += file.bytes;
      for await (const { range, failed } of rangesOf(file, request, parts, signal)) {
        shards.push({ index, file, range, ...(failed === undefined ? {} : { failed }) });
        index += 1;
        if (shards.length < PLAN_SHARDS) continue;
        yield { shards, files, bytes };
        shards = [];
      }
    }
  }
  yield { shards, files, bytes };
}

interface ListedFile extends FileRef {
  /** Why there is none: it stands for its pattern. */
  readonly missing?: string;
}

async function* listed(
  pattern: string,
  isOnly: boolean,
  { places }: PlanningParts,
  output: string,
  signal: AbortSignal,
): AsyncGenerator<ListedFile> {
  try {
    yield* places.list([pattern], signal, { output });
  } catch (error) {
    if (!(error instanceof InputError)) throw failureOf(error);
    if (isOnly) throw new JobFailure(error.message, { cause: error, plansAnew: true });
    yield { url: pattern, bytes: 0, version: '', missing: error.message }; // 3
  }
}

async function* rangesOf(
  { missing, ...file }: ListedFile,
  request: JobRequest,
  { formats }: PlanningParts,
  signal: AbortSignal,
): AsyncGenerator<{ readonly range: ShardRange; readonly failed?: string }> {
  if (missing !== undefined) yield { range: { unit: 'bytes', start: 0 }, failed: missing };
  // Nothing is no rows, whatever the format.
  if (file.bytes === 0) return;
  let last: ShardRange | undefined;
  try {
    const options = inputOptionsOf(request, file);
    const rows = request.shard_rows ?? DEFAULT_SHARD_ROWS;
    for await (const range of formats.input(options.format).plan(file, options, rows, signal)) {
      last = range;
      yield { range };
    }
  } catch (error) {
    const failure = readFailureOf(error);
    if (!(failure instanceof ShardFailure)) throw failure;
    const rest = { unit: last?.unit ?? 'bytes', start: last?.end ?? 0 };
    yield { range: rest, failed: failure.message }; // 2
  }
}
