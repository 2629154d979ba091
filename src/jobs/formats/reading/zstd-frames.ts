/**
 * Cuts zstd (RFC 8878) at the ends of its blocks, each of which unpacks to 128 KB at most (a block of one repeated byte: 2 MB). A
 * decoder that is given a piece unpacks all of it at once: a few packed bytes may become gigabytes. Pure.
 */

/** Frames that need a larger window are refused, as zstd itself does. */
const MAX_WINDOW_BYTES = 128 * 1024 * 1024;
const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

export class ZstdFormatError extends Error {}

export interface ZstdPiece {
  readonly bytes: Buffer;
  /** `head` begins a frame, `last` ends it; `skipped` belongs to a frame that has nothing for us. */
  readonly kind: 'head' | 'block' | 'last' | 'skipped';
}

export class ZstdFrames {
  #held: Buffer = Buffer.alloc(0);
  #isWithinFrame = false;
  #hasChecksum = false;
  /** Of a skippable frame, that are still to come. */
  #skipBytes = 0;

  /** @returns pieces that hold one block each at most */
  push(chunk: Uint8Array): readonly ZstdPiece[] {
    this.#held = Buffer.concat([this.#held, chunk]);
    const pieces: ZstdPiece[] = [];
    for (;;) {
      const wasWithin = this.#isWithinFrame;
      const next = this.#next();
      if (next === undefined) return pieces;
      const bytes = this.#held.subarray(0, next);
      this.#held = this.#held.subarray(next);
      const ended = this.#isWithinFrame ? 'block' : 'last';
      pieces.push({ bytes, kind: wasWithin ? ended : this.#isWithinFrame ? 'head' : 'skipped' });
    }
  }

  /** Whether the file may end here. */
  get isWhole(): boolean {
    return !this.#isWithinFrame && this.#held.length === 0 && this.#skipBytes === 0;
  }

  /** How long the next piece is; undefined if it is not there yet. */
  #next(): number | undefined {
    if (this.#skipBytes > 0) {
      const length = Math.min(this.#skipBytes, this.#held.length);
      this.#skipBytes -= length;
      return length === 0 ? undefined : length;
    }
    return this.#isWithinFrame ? this.#blockLength() : this.#headLength();
  }

  #headLength(): number | undefined {
    const held = this.#held;
    if (held.length < 5) return undefined;
    const magic = held.readUInt32LE(0);
    if (magic >>> 4 === SKIPPABLE >>> 4) {
      if (held.length < 8) return undefined;
      this.#skipBytes = held.readUInt32LE(4);
      return 8;
    }
    if (magic !== MAGIC) throw new ZstdFormatError('no zstd frame begins where one should');
    const descriptor = held[4] ?? 0;
    const isSingle = (descriptor & 0x20) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? Number(isSingle) : 1 << sizeFlag;
    const length = 5 + Number(!isSingle) + dictionaryBytes + sizeBytes;
    if (held.length < length) return undefined;
    const sizeStart = length - sizeBytes;
    const window = isSingle ? sizeAt(held, sizeStart, sizeBytes) : windowOf(held[5] ?? 0);
    if (window > MAX_WINDOW_BYTES) {
      throw new ZstdFormatError(
        `it needs a window of ${Math.ceil(window / 1024 / 1024)} MB, more than 128 MB: pack it without --long`,
      );
    }
    this.#isWithinFrame = true;
    this.#hasChecksum = (descriptor & 4) !== 0;
    return length;
  }

  #blockLength(): number | undefined {
    if (this.#held.length < 3) return undefined;
    const head = this.#held.readUIntLE(0, 3);
    const isLast = (head & 1) !== 0;
    const isRepeated = ((head >> 1) & 3) === 1;
    const length = 3 + (isRepeated ? 1 : head >> 3) + (isLast && this.#hasChecksum ? 4 : 0);
    if (this.#held.length < length) return undefined;
    this.#isWithinFrame = !isLast;
    return length;
  }
}

function sizeAt(bytes: Buffer, at: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0);
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
