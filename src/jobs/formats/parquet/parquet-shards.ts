/** Cuts Parquet by its row groups, which the end of the file lists. Pure. */
import type { ShardRange } from '../format.js';

/**
 * 1. A row group with more rows than a shard is cut into shards of equal size.
 * 2. Smaller ones follow one another in one shard, as long as they fit.
 */
export function* parquetShards(
  groupRows: readonly number[],
  shardRows: number,
): Generator<ShardRange> {
  let start = 0;
  let at = 0;
  for (const rows of groupRows) {
    if (at > start && at + rows - start > shardRows) {
      yield { unit: 'rows', start, end: at }; // 2
      start = at;
    }
    const end = at + rows;
    if (rows > shardRows) {
      const pieces = Math.ceil(rows / shardRows);
      for (let piece = 1; piece <= pieces; piece += 1) {
        const to = at + Math.round((rows * piece) / pieces);
        yield { unit: 'rows', start, end: to }; // 1
        start = to;
      }
    }
    at = end;
  }
  if (at > start) yield { unit: 'rows', start, end: at };
}
