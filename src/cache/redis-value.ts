import type { CachedResult } from './memory-tier.js';

/** Written first, so that a server of another version takes the value for a miss, not for scores. */
const VERSION = 1;
/** Version, flag of truncation, and six bytes of milliseconds since 1970. */
const HEADER_BYTES = 8;
const TIME_AT = 2;
const TIME_BYTES = 6;
const BYTES_PER_SCORE = 8;
/** An index of a label, of 32 bits, before each score. */
const BYTES_PER_LABEL = 4;
/** Bits of the flag. */
const TRUNCATED = 1;
const BEST_LABELS = 2;

/** A result and the time at which it ends, in whichever tier it lies. */
export interface StoredResult {
  readonly result: CachedResult;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * One result as it lies in Redis: version, flags, its end, then the scores as float64, little endian. If only the
 * best labels are kept, each score has the index of its label before it. Scores are rounded to seven decimals, which
 * float32 would not give back.
 *
 * The end stands in the value because MGET does not tell what is left of a key's life, and whoever
 * copies the result into its memory must not keep it for longer than the key.
 */
export function encodeResult({ result, expiresAtMs }: StoredResult): Buffer {
  const { scores, labels, truncated } = result;
  const bytesEach = BYTES_PER_SCORE + (labels === undefined ? 0 : BYTES_PER_LABEL);
  const bytes = Buffer.alloc(HEADER_BYTES + scores.length * bytesEach);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8((truncated ? TRUNCATED : 0) | (labels === undefined ? 0 : BEST_LABELS), 1);
  bytes.writeUIntLE(Math.floor(expiresAtMs), TIME_AT, TIME_BYTES);
  scores.forEach((score, index) => {
    const end = HEADER_BYTES + (index + 1) * bytesEach;
    bytes.writeDoubleLE(score, end - BYTES_PER_SCORE);
    if (labels !== undefined) bytes.writeUInt32LE(labels[index] ?? 0, end - bytesEach);
  });
  return bytes;
}

/**
 * @param labels how many scores a result of this model has.
 * @returns undefined if the bytes are not such a value: the caller counts a miss and removes them.
 */
export function decodeResult(bytes: Buffer, labels: number): StoredResult | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flag = bytes.readUInt8(1);
  if (bytes.readUInt8(0) !== VERSION || flag > (TRUNCATED | BEST_LABELS)) return undefined;
  const isBest = (flag & BEST_LABELS) !== 0;
  const bytesEach = BYTES_PER_SCORE + (isBest ? BYTES_PER_LABEL : 0);
  const count = (bytes.length - HEADER_BYTES) / bytesEach;
  if (isBest ? !Number.isInteger(count) || count >= labels : count !== labels) return undefined;
  const scores = new Array<number>(count);
  const best = new Array<number>(isBest ? count : 0);
  for (let index = 0; index < count; index += 1) {
    const end = HEADER_BYTES + (index + 1) * bytesEach;
    const score = bytes.readDoubleLE(end - BYTES_PER_SCORE);
    if (!Number.isFinite(score)) return undefined;
    scores[index] = score;
    if (!isBest) continue;
    const label = bytes.readUInt32LE(end - bytesEach);
    if (label >= labels) return undefined;
    best[index] = label;
  }
  const expiresAtMs = bytes.readUIntLE(TIME_AT, TIME_BYTES);
  const result = {
    scores,
    ...(isBest ? { labels: best } : {}),
    truncated: (flag & TRUNCATED) !== 0,
  };
  return { result, expiresAtMs };
}
