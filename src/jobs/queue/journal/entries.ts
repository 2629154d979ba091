import type { FileRef } from '../../files/place.js';
import type { ShardRange } from '../../formats/format.js';
import type { Shard, ShardResult } from '../queue.js';

/** Ranges of one file, one after another. The file is named once, so that a shard takes some twenty bytes. */
export interface FileRanges {
  readonly file: FileRef;
  readonly ranges: readonly ShardRange[];
}

/** One thing that happened to a job. Its entries in their order are all there is to know about it. */
export type Entry =
  /** A machine began to plan. */
  | { readonly kind: 'began'; readonly atMs: number }
  /** Some more shards, from number `first` on; `files` and `bytes` are those of the input so far. */
  | {
      readonly kind: 'piece';
      readonly first: number;
      readonly parts: readonly FileRanges[];
      readonly files: number;
      readonly bytes: number;
    }
  | { readonly kind: 'planned' }
  | { readonly kind: 'done'; readonly shard: number; readonly result: ShardResult }
  /** A shard was set aside after its last attempt. */
  | {
      readonly kind: 'failed';
      readonly shard: number;
      readonly reason: string;
      readonly attempts: number;
      readonly server: string | null;
    }
  | { readonly kind: 'cancelled'; readonly atMs: number }
  /** No attempt can mend it: the job failed as a whole. */
  | { readonly kind: 'broken'; readonly atMs: number; readonly reason: string }
  | { readonly kind: 'finished'; readonly atMs: number; readonly manifest: string }
  | { readonly kind: 'retried' };

/** Shards of one `piece` entry: read as a whole where one of them is asked for. */
export const MAX_SHARDS_OF_PIECE = 100;

export function written(entry: Entry): string {
  return JSON.stringify(entry);
}

/** An entry as this program wrote it. */
export function readEntry(text: string): Entry {
  return JSON.parse(text) as Entry;
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

export function isSameFile(one: FileRef, other: FileRef): boolean {
  return one.url === other.url && one.version === other.version;
}
