import type { CachedResult } from './memory-tier.js';

/** Written first, so that a server of another version takes the value for a miss, not for scores. */
const VERSION = 1;
const HEADER_BYTES = 2;
const BYTES_PER_SCORE = 4;

/**
 * One result as it lies in Redis: version, flag of truncation, then the scores as float32, little
 * endian. The model itself computes in float32, so its scores lose nothing.
 */
export function encodeResult({ scores, truncated }: CachedResult): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + scores.length * BYTES_PER_SCORE);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(truncated ? 1 : 0, 1);
  scores.forEach((score, index) => {
    bytes.writeFloatLE(score, HEADER_BYTES + index * BYTES_PER_SCORE);
  });
  return bytes;
}

/**
 * @param labels how many scores a result of this model has.
 * @returns undefined if the bytes are not such a value: the caller counts a miss and removes them.
 */
export function decodeResult(bytes: Buffer, labels: number): CachedResult | undefined {
  if (bytes.length !== HEADER_BYTES + labels * BYTES_PER_SCORE) return undefined;
  const flag = bytes.readUInt8(1);
  if (bytes.readUInt8(0) !== VERSION || flag > 1) return undefined;
  const scores = Array.from({ length: labels }, (_, index) =>
    bytes.readFloatLE(HEADER_BYTES + index * BYTES_PER_SCORE),
  );
  return scores.every(Number.isFinite) ? { scores, truncated: flag === 1 } : undefined;
}
