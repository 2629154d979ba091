import {
  isFlag,
  isList,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  orNull,
  shapeOf,
} from '../../../contract/schema/shape.js';
import type { FileRef } from '../../files/place.js';
import type { ShardRange } from '../../formats/format.js';
import { isJobModel } from '../engines/stored-job.js';
import type { JobModel, Shard, ShardResult } from '../queue.js';

/** Ranges of one file, one after another. The file is named once, so that a shard takes some twenty bytes. */
export interface FileRanges {
  readonly file: FileRef;
  readonly ranges: readonly ShardRange[];
}

/** One thing that happened to a job. Its entries in their order are all there is to know about it. */
export type Entry =
  /** A machine began to plan, with its model. An older version did not note the model. */
  | { readonly kind: 'began'; readonly atMs: number; readonly model?: JobModel | undefined }
  /** Some more shards, from number `first` on; `files` and `bytes` are those of the input so far. */
  | {
      readonly kind: 'piece';
      readonly first: number;
      readonly parts: readonly FileRanges[];
      readonly files: number;
      readonly bytes: number;
    }
  /** All shards are known, so many. An older version did not note how many. */
  | { readonly kind: 'planned'; readonly shards?: number | undefined }
  | { readonly kind: 'done'; readonly shard: number; readonly result: ShardResult }
  /** A shard was set aside after its last attempt. `anew`: a retry has to plan anew. */
  | {
      readonly kind: 'failed';
      readonly shard: number;
      readonly reason: string;
      readonly attempts: number;
      readonly server: string | null;
      readonly anew?: boolean | undefined;
    }
  | { readonly kind: 'cancelled'; readonly atMs: number }
  /** No attempt can mend it: the job failed as a whole. */
  | {
      readonly kind: 'broken';
      readonly atMs: number;
      readonly reason: string;
      readonly anew?: boolean | undefined;
    }
  | { readonly kind: 'finished'; readonly atMs: number; readonly manifest: string }
  | { readonly kind: 'retried' };

/** Shards of one `piece` entry: read as a whole where one of them is asked for. */
export const MAX_SHARDS_OF_PIECE = 100;

export function written(entry: Entry): string {
  return JSON.stringify(entry);
}

const isRange = shapeOf<ShardRange>({
  ...{ unit: isOneOf(['bytes', 'rows']), start: isNumber, end: orMissing(isNumber) },
});
const isFile = shapeOf<FileRef>({
  ...{ url: isText, bytes: isNumber, version: isText },
  ranged: orMissing((value) => value === false),
});
const isResult = shapeOf<ShardResult>({
  ...{ part: isText, bytes: isNumber, sha256: isText, rows: isNumber, bad: isNumber },
  ...{ server: isText, tookMs: isNumber, model: isJobModel },
});

/** For each kind of entry, what it holds beside its kind. */
const SHAPES: { readonly [K in Entry['kind']]: (value: unknown) => boolean } = {
  began: shapeOf({ atMs: isNumber, model: orMissing(isJobModel) }),
  piece: shapeOf({
    first: isNumber,
    parts: isList(shapeOf<FileRanges>({ file: isFile, ranges: isList(isRange) })),
    ...{ files: isNumber, bytes: isNumber },
  }),
  planned: shapeOf({ shards: orMissing(isNumber) }),
  done: shapeOf({ shard: isNumber, result: isResult }),
  failed: shapeOf({
    ...{ shard: isNumber, reason: isText, attempts: isNumber, server: orNull(isText) },
    anew: orMissing(isFlag),
  }),
  cancelled: shapeOf({ atMs: isNumber }),
  broken: shapeOf({ atMs: isNumber, reason: isText, anew: orMissing(isFlag) }),
  finished: shapeOf({ atMs: isNumber, manifest: isText }),
  retried: shapeOf({}),
};
const isKind = isOneOf(Object.keys(SHAPES));
const hasKind = shapeOf<Pick<Entry, 'kind'>>({ kind: isKind });

/** @returns undefined if the text is no entry: another version or another hand may have written it */
export function readEntry(text: string): Entry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isEntry(value) ? value : undefined;
}

function isEntry(value: unknown): value is Entry {
  return hasKind(value) && SHAPES[value.kind](value);
}

/** Shards in the form of a `piece`. They follow one another. */
export function partsOf(shards: readonly Shard[]): readonly FileRanges[] {
  const parts: { file: FileRef; ranges: ShardRange[] }[] = [];
  for (const { file, range } of shards) {
    const last = parts.at(-1);
    if (last !== undefined && isSameFile(last.file, file)) last.ranges.push(range);
    else parts.push({ file, ranges: [range] });
  }
  return parts;
}

/** The shard with that number; undefined if the piece does not have it. */
export function shardOf(
  piece: Entry & { readonly kind: 'piece' },
  index: number,
): Shard | undefined {
  let at = piece.first;
  for (const { file, ranges } of piece.parts) {
    const range = ranges[index - at];
    if (range !== undefined) return { index, file, range };
    at += ranges.length;
  }
  return undefined;
}

/** Whether two shards are the same rows of the same version of a file. */
export function isSameShard(one: Shard, other: Shard): boolean {
  const [a, b] = [one.range, other.range];
  if (a.unit !== b.unit || a.start !== b.start || a.end !== b.end) return false;
  return isSameFile(one.file, other.file);
}

export function isSameFile(one: FileRef, other: FileRef): boolean {
  return one.url === other.url && one.version === other.version;
}
