/** Plain JSONL is cut by bytes, and no row is looked at but those of three samples. */
import type { FileRef } from '../../files/place.js';
import type { ShardRange } from '../format.js';
import { LineSplitter } from './line-splitter.js';
import type { FileReader } from './pieces.js';

const SAMPLE_BYTES = 64 * 1024;

/** Shards of about `shardRows` rows, by the mean length of those at the start, in the middle and at the end. */
export async function* jsonlShards(
  reader: FileReader,
  file: FileRef,
  shardRows: number,
  signal: AbortSignal,
): AsyncGenerator<ShardRange> {
  if (await isWithoutRows(reader, file, signal)) return;
  const shardBytes = Math.max(1, Math.ceil((await meanRowBytes(reader, file, signal)) * shardRows));
  for (let start = 0; start < file.bytes; start += shardBytes) {
    yield { unit: 'bytes', start, end: Math.min(start + shardBytes, file.bytes) };
  }
}

/** Asked of short files alone: a longer one that is all blank lines has shards without rows, which do no harm. */
async function isWithoutRows(reader: FileReader, file: FileRef, signal: AbortSignal) {
  if (file.bytes === 0) return true;
  if (file.bytes > SAMPLE_BYTES) return false;
  const splitter = new LineSplitter();
  const records = splitter.push(await read(reader, file, 0, signal));
  return records.length === 0 && splitter.end().length === 0;
}

async function meanRowBytes(reader: FileReader, file: FileRef, signal: AbortSignal) {
  const last = Math.max(0, file.bytes - SAMPLE_BYTES);
  const starts = [...new Set([0, Math.floor(last / 2), last])];
  let bytes = 0;
  let rows = 0;
  for (const start of last < 2 * SAMPLE_BYTES ? [0] : starts) {
    const sample = await read(reader, file, start, signal);
    bytes += sample.length;
    rows += new LineSplitter(1).push(sample).length;
  }
  return bytes / Math.max(1, rows);
}

async function read(reader: FileReader, file: FileRef, start: number, signal: AbortSignal) {
  const end = Math.min(start + SAMPLE_BYTES, file.bytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of reader.read(file, { start, end }, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
