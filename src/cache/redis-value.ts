import type { CachedResult } from './memory-tier.js';

/** Written first, so that a server of another version takes the value for a miss, not for scores. */
const VERSION = 1;
/** Version, flag of truncation, and six bytes of milliseconds since 1970. */
const HEADER_BYTES = 8;
const TIME_AT = 2;
const TIME_BYTES = 6;
const BYTES_PER_SCORE = 8;

/** A result and the time at which it ends, in whichever tier it lies. */
export interface StoredResult {
  readonly result: CachedResult;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * One result as it lies in Redis: version, flag of truncation, its end, then the scores as float64,
 * little endian. Scores are rounded to seven decimals, which float32 would not give back.
 *
 * The end stands in the value because MGET does not tell what is left of a key's life, and whoever
 * copies the result into its memory must not keep it for longer than the key.
 */
export function encodeResult({ result, expiresAtMs }: StoredResult): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + result.scores.length * BYTES_PER_SCORE);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(result.truncated ? 1 : 0, 1);
  bytes.writeUIntLE(Math.floor(expiresAtMs), TIME_AT, TIME_BYTES);
  result.scores.forEach((score, index) => {
    bytes.writeDoubleLE(score, HEADER_BYTES + index * BYTES_PER_SCORE);
  });
  return bytes;
}

/**
 * @param labels how many scores a result of this model has.
 * @returns undefined if the bytes are not such a value: the caller counts a miss and removes them.
 */
export function decodeResult(bytes: Buffer, labels: number): StoredResult | undefined {
  if (bytes.length !== HEADER_BYTES + labels * BYTES_PER_SCORE) return undefined;
  const flag = bytes.readUInt8(1);
  if (bytes.readUInt8(0) !== VERSION || flag > 1) return undefined;
  const scores = new Array<number>(labels);
  for (let index = 0; index < labels; index += 1) {
    const score = bytes.readDoubleLE(HEADER_BYTES + index * BYTES_PER_SCORE);
    if (!Number.isFinite(score)) return undefined;
    scores[index] = score;
  }
  const expiresAtMs = bytes.readUIntLE(TIME_AT, TIME_BYTES);
  return { result: { scores, truncated: flag === 1 }, expiresAtMs };
}
