import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { isEntity } from '../contract/doors/entity.js';
import { isList } from '../contract/schema/shape.js';
import type { CachedEntity, CachedResult } from './memory-tier.js';

/** Written first, so that a server of another version reads a miss, not scores. */
const VERSION = 2;
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
const ENTITIES = 4;
/** HMAC-SHA256 cut to half, as RFC 2104 (section 5) allows. */
const TAG_BYTES = 16;
/** SHA-256's block and digest. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** The digest's bytes as characters; an alias of `latin1` that the types accept. */
const RAW = 'binary';

const areEntities = isList(isEntity);

/** A result and the time at which it expires, in whichever tier it is. */
export interface StoredResult {
  readonly result: CachedResult;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * Results as they are stored in Redis: version, flags, expiry, the scores as float64, and a tag; all little
 * endian. If only the best labels are kept, each score has the index of its label before it. Scores are rounded to
 * seven decimals, which float32 would not give back.
 *
 * The expiry is in the value because MGET does not return TTLs, and a copy in memory must not outlive the key.
 *
 * The tag is an HMAC under the cache's secret over the key and the value. Without it anybody who may write to
 * the same Redis could choose the answers, by storing a value or by swapping the values of two keys.
 */
export class ResultCodec {
  /** key ⊕ ipad, then space for a Redis key and a value. Reused for every value. */
  #inner = Buffer.alloc(BLOCK_BYTES + 512);
  /** key ⊕ opad, then space for the inner digest. */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
  /** The tag of the last value. */
  readonly #tag = Buffer.alloc(TAG_BYTES);

  /** @param secret of any length; servers that share a cache share it. */
  constructor(secret: string) {
    // Another key than that of the cache's keys: the two must not be confused for one another.
    const key = createHash('sha256').update('values of the cache\0').update(secret).digest();
    for (let at = 0; at < BLOCK_BYTES; at += 1) {
      this.#inner[at] = (key[at] ?? 0) ^ 0x36;
      this.#outer[at] = (key[at] ?? 0) ^ 0x5c;
    }
  }

  /** @param name the key in Redis. */
  encode(name: string, { result, expiresAtMs }: StoredResult): Buffer {
    const { scores, labels, entities, truncated } = result;
    if (entities !== undefined)
      return this.#sealed(name, entitiesValue(entities, truncated, expiresAtMs));
    const bytesEach = BYTES_PER_SCORE + (labels === undefined ? 0 : BYTES_PER_LABEL);
    const end = HEADER_BYTES + scores.length * bytesEach;
    const bytes = Buffer.alloc(end + TAG_BYTES);
    const flags = (truncated ? TRUNCATED : 0) | (labels === undefined ? 0 : BEST_LABELS);
    writeHeader(bytes, flags, expiresAtMs);
    scores.forEach((score, index) => {
      const scoreEnd = HEADER_BYTES + (index + 1) * bytesEach;
      bytes.writeDoubleLE(score, scoreEnd - BYTES_PER_SCORE);
      if (labels !== undefined) bytes.writeUInt32LE(labels[index] ?? 0, scoreEnd - bytesEach);
    });
    return this.#sealed(name, bytes);
  }

  /** @param bytes a value with room for the tag at its end. */
  #sealed(name: string, bytes: Buffer): Buffer {
    const end = bytes.length - TAG_BYTES;
    this.#computeTag(name, bytes, end);
    this.#tag.copy(bytes, end);
    return bytes;
  }

  /**
   * @param name the key that the bytes were read from.
   * @param labels number of scores in a result of this model.
   * @returns undefined if the bytes are not a value of ours for this key; the caller counts a miss and removes
   * them.
   */
  decode(name: string, bytes: Buffer, labels: number): StoredResult | undefined {
    const end = bytes.length - TAG_BYTES;
    if (end < HEADER_BYTES || bytes.readUInt8(0) !== VERSION) return undefined;
    this.#computeTag(name, bytes, end);
    if (!timingSafeEqual(this.#tag, bytes.subarray(end))) return undefined;
    const result = resultIn(bytes.subarray(0, end), labels);
    return result && { result, expiresAtMs: bytes.readUIntLE(TIME_AT, TIME_BYTES) };
  }

  /**
   * HMAC-SHA256 (RFC 2104), written out like that of the keys, and for the same reason. Digests come as strings:
   * a Buffer from `hash` takes twice as long.
   */
  #computeTag(name: string, value: Buffer, valueBytes: number): void {
    const nameBytes = Buffer.byteLength(name);
    // The name's length keeps the end of a name from being taken for the beginning of a value.
    const at = BLOCK_BYTES + 4 + nameBytes;
    const end = at + valueBytes;
    if (end > this.#inner.length) {
      const larger = Buffer.alloc(2 * end);
      this.#inner.copy(larger, 0, 0, BLOCK_BYTES);
      this.#inner = larger;
    }
    this.#inner.writeUInt32LE(nameBytes, BLOCK_BYTES);
    this.#inner.write(name, BLOCK_BYTES + 4);
    value.copy(this.#inner, at, 0, valueBytes);
    this.#outer.write(hash('sha256', this.#inner.subarray(0, end), RAW), BLOCK_BYTES, 'latin1');
    this.#tag.write(hash('sha256', this.#outer, RAW), 'latin1');
  }
}

function writeHeader(bytes: Buffer, flags: number, expiresAtMs: number): void {
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUIntLE(Math.floor(expiresAtMs), TIME_AT, TIME_BYTES);
}

/** Entities are texts and numbers of any length, so they are written as JSON. */
function entitiesValue(
  entities: readonly CachedEntity[],
  truncated: boolean,
  expiresAtMs: number,
): Buffer {
  const json = JSON.stringify(entities);
  const bytes = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(json) + TAG_BYTES);
  writeHeader(bytes, ENTITIES | (truncated ? TRUNCATED : 0), expiresAtMs);
  bytes.write(json, HEADER_BYTES);
  return bytes;
}

/** The tag says that a server with our secret wrote the value; one of another version may have written another shape. */
function entitiesIn(bytes: Buffer, truncated: boolean): CachedResult | undefined {
  const entities = parsed(bytes.toString('utf8', HEADER_BYTES));
  return areEntities(entities) ? { scores: [], entities, truncated } : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The result in a value without its tag; undefined if it is none of a model with so many labels. */
function resultIn(bytes: Buffer, labels: number): CachedResult | undefined {
  const flags = bytes.readUInt8(1);
  if ((flags & ENTITIES) !== 0) return entitiesIn(bytes, (flags & TRUNCATED) !== 0);
  const isBest = (flags & BEST_LABELS) !== 0;
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
  const truncated = (flags & TRUNCATED) !== 0;
  return isBest ? { scores, labels: best, truncated } : { scores, truncated };
}
