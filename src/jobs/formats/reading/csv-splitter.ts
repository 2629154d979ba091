import {
  MAX_RECORD_BYTES,
  type Skimmer,
  type Splitter,
  type TextRecord,
  tooLong,
} from './records.js';

const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** `quote`: a quote within a quoted field, which either ends it or stands for one with the next. */
type State = 'start' | 'plain' | 'quoted' | 'quote';

/** Told of each record: its place in the file, that of its content in what is held, and why it is a bad one. */
type OnRecord = (start: number, end: number, from: number, to: number, problem?: string) => void;

/**
 * Cuts CSV at line ends that are not within quotes. A quote opens a field only where one begins; elsewhere it is a character.
 *
 * A record that is longer than the bound, and one whose quote is never closed: its first line alone is a bad record, and the next
 * line begins a new one. So one lost quote costs one row, not the rest of the file. What is cut depends on where it begins and on the
 * bytes behind alone, never on the pieces they come in.
 */
export class CsvSplitter implements Splitter, Skimmer {
  readonly #delimiter: Buffer;
  readonly #maxBytes: number;
  /** What {@link skim} copies its pieces into, again and again. */
  #room: Buffer = Buffer.alloc(0);
  /** From the start of the record that is not whole yet. */
  #held: Buffer = Buffer.alloc(0);
  #heldStart: number;
  /** Within `#held`. */
  #at = 0;
  #state: State = 'start';
  /** The first quote at or behind `#at` in plain text; below it: not known. */
  #nextQuote = -1;
  /** Passing over a line that is too long to be held: where it began. */
  #passing: number | undefined;

  /** @param start where the first byte, which begins a record, is within its file */
  constructor(delimiter: string, start = 0, maxBytes = MAX_RECORD_BYTES) {
    this.#delimiter = Buffer.from(delimiter);
    this.#heldStart = start;
    this.#maxBytes = maxBytes;
  }

  get pendingStart(): number {
    return this.#passing ?? this.#heldStart;
  }

  push(chunk: Uint8Array): readonly TextRecord[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    this.#nextQuote = -1;
    return this.#records(false);
  }

  end(): readonly TextRecord[] {
    return this.#records(true);
  }

  /**
   * Like {@link push}, but tells no more of each record than where it ends, and allocates nothing: a file of ten million rows
   * would leave a gigabyte to the garbage collector. The piece may be overwritten afterwards.
   */
  skim(chunk: Uint8Array, onEnd: (end: number) => void): void {
    const kept = this.#held.length;
    const length = kept + chunk.byteLength;
    const room =
      length <= this.#room.length ? this.#room : Buffer.allocUnsafeSlow(Math.max(length, 2 * kept));
    // It may be in the same room: Buffer.copy moves bytes that overlap rightly.
    this.#held.copy(room, 0);
    room.set(chunk, kept);
    this.#room = room;
    this.#held = room.subarray(0, length);
    this.#nextQuote = -1;
    this.#cut(false, (_, end) => onEnd(end));
  }

  skimEnd(onEnd: (end: number) => void): void {
    this.#cut(true, (_, end) => onEnd(end));
  }

  #records(isLast: boolean): readonly TextRecord[] {
    const records: TextRecord[] = [];
    this.#cut(isLast, (start, end, from, to, problem) => {
      records.push({ start, end, content: problem ?? this.#held.subarray(from, to) });
    });
    return records;
  }

  /**
   * 1. A line that is too long is passed over until it ends.
   * 2. A record that ends, and is no longer than the bound, is one.
   * 3. One that is longer, or is quoted to the end of the file: its first line is a bad one.
   * 4. What is left at the end of the file is the last record.
   */
  #cut(isLast: boolean, onRecord: OnRecord): void {
    let from = 0;
    const take = (end: number, next: number, problem?: string): void => {
      const to = this.#contentEnd(from, end);
      if (problem !== undefined || to > from) {
        const start = this.#passing ?? this.#heldStart + from;
        onRecord(start, this.#heldStart + next, from, to, problem);
      }
      this.#passing = undefined;
      this.#state = 'start';
      from = next;
      // It may go back to the first line of what was no record.
      if (next < this.#at) this.#nextQuote = -1;
      this.#at = next;
    };
    for (;;) {
      if (this.#passing !== undefined) {
        const end = this.#held.indexOf(LINE_FEED, from);
        if (end < 0) break;
        take(end, end + 1, tooLong()); // 1
        continue;
      }
      const end = this.#scan(from);
      const isOver = (end < 0 ? this.#held.length : end) - from > this.#maxBytes;
      const isOpen = end < 0 && isLast && this.#state === 'quoted';
      if (end >= 0 && !isOver)
        take(end, end + 1); // 2
      else if (isOver || isOpen) {
        const line = this.#held.indexOf(LINE_FEED, from);
        if (line < 0 && !isLast) {
          this.#passing = this.#heldStart + from;
          from = this.#held.length;
          break;
        }
        const lineEnd = line < 0 ? this.#held.length : line;
        take(lineEnd, line < 0 ? lineEnd : line + 1, isOver ? tooLong() : 'a quote is not closed'); // 3
      } else break;
    }
    if (isLast && this.#passing !== undefined)
      take(this.#held.length, this.#held.length, tooLong());
    else if (isLast && from < this.#held.length) take(this.#held.length, this.#held.length); // 4
    if (this.#passing !== undefined) from = this.#held.length;
    this.#held = this.#held.subarray(from);
    this.#heldStart += from;
    this.#at = Math.max(0, this.#at - from);
  }

  /** Goes on where the last piece ended. @returns where the record ends, -1 if it is not whole */
  #scan(from: number): number {
    const held = this.#held;
    while (this.#at < held.length) {
      const at = this.#at;
      if (this.#state === 'quoted') {
        const quote = held.indexOf(QUOTE, at);
        if (quote < 0) this.#at = held.length;
        else this.#go('quote', quote + 1);
      } else if (this.#state === 'plain') {
        const end = held.indexOf(LINE_FEED, at);
        const lineEnd = end < 0 ? held.length : end;
        const quote = this.#quoteBefore(lineEnd, at);
        if (quote < 0) {
          this.#at = lineEnd;
          if (end >= 0) return end;
        } else this.#go(this.#opensField(from, quote) ? 'quoted' : 'plain', quote + 1);
      } else if (held[at] === QUOTE) this.#go('quoted', at + 1);
      else this.#state = 'plain';
    }
    return -1;
  }

  #go(state: State, at: number): void {
    this.#state = state;
    this.#at = at;
  }

  #quoteBefore(end: number, at: number): number {
    if (this.#nextQuote < at) {
      const quote = this.#held.indexOf(QUOTE, at);
      this.#nextQuote = quote < 0 ? this.#held.length : quote;
    }
    return this.#nextQuote < end ? this.#nextQuote : -1;
  }

  #opensField(from: number, quote: number): boolean {
    const before = quote - this.#delimiter.length;
    if (before < from) return false;
    for (let at = 0; at < this.#delimiter.length; at += 1) {
      if (this.#held[before + at] !== this.#delimiter[at]) return false;
    }
    return true;
  }

  /** Without the carriage return before a line end. */
  #contentEnd(from: number, end: number): number {
    const hasReturn = end > from && this.#held[end - 1] === CARRIAGE_RETURN;
    return hasReturn ? end - 1 : end;
  }
}
