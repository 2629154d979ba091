import {
  MAX_RECORD_BYTES,
  type Splitter,
  type TextRecord,
  tooLong,
  withoutMark,
} from './records.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Cuts at line ends. Lines with nothing but blanks are no records. */
export class LineSplitter implements Splitter {
  readonly #maxBytes: number;
  /** Pieces of the line that is not whole yet; empty once it is too long. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #start: number;
  #isFirst: boolean;

  /** @param start where the first byte is within its file */
  constructor(start = 0, maxBytes = MAX_RECORD_BYTES) {
    this.#start = start;
    this.#isFirst = start === 0;
    this.#maxBytes = maxBytes;
  }

  get pendingStart(): number {
    return this.#start;
  }

  push(chunk: Uint8Array): readonly TextRecord[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const records: TextRecord[] = [];
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, from);
      this.#hold(bytes.subarray(from, end < 0 ? undefined : end));
      if (end < 0) return records;
      this.#release(records, 1);
      from = end + 1;
    }
  }

  end(): readonly TextRecord[] {
    const records: TextRecord[] = [];
    this.#release(records, 0);
    return records;
  }

  #hold(piece: Buffer): void {
    this.#heldBytes += piece.length;
    if (this.#heldBytes > this.#maxBytes) this.#held = [];
    else if (piece.length > 0) this.#held.push(piece);
  }

  #release(records: TextRecord[], endBytes: number): void {
    const start = this.#start;
    const end = start + this.#heldBytes + endBytes;
    const isTooLong = this.#heldBytes > this.#maxBytes;
    const only = this.#held.length === 1 ? this.#held[0] : undefined;
    const whole = only ?? Buffer.concat(this.#held);
    const line = this.#isFirst ? withoutMark(whole) : whole;
    if (isTooLong) records.push({ start, end, content: tooLong() });
    else if (!isBlank(line)) records.push({ start, end, content: withoutReturn(line) });
    this.#start = end;
    this.#held = [];
    this.#heldBytes = 0;
    this.#isFirst = false;
  }
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== CARRIAGE_RETURN) return false;
  }
  return true;
}
