/** Cuts text files into records, piece by piece: what JSONL and CSV have in common. Pure. */

/** A row longer than this is a bad one: it is passed over without being held. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** One row as it is in the file. */
export interface TextRecord {
  /** Of its first byte, from the start of what was cut. */
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
  /** Without its line end; or why it cannot be read. */
  readonly content: Buffer | string;
}

/** Cuts what it is given; what is not whole yet it keeps, up to {@link MAX_RECORD_BYTES}. */
export interface Splitter {
  /** The records that this piece ends. */
  push(chunk: Uint8Array): readonly TextRecord[];
  /** The last record, if the file does not end with a line end. */
  end(): readonly TextRecord[];
  /** Where the record begins that is not whole yet. */
  readonly pendingStart: number;
}

/** Tells where records end, and nothing else. */
export interface Skimmer {
  /** Those that this piece ends; the piece may be overwritten afterwards. */
  skim(chunk: Uint8Array, onEnd: (end: number) => void): void;
  /** The last record, if the file does not end with a line end. */
  skimEnd(onEnd: (end: number) => void): void;
}

export function tooLong(): string {
  return `the row is longer than ${MAX_RECORD_BYTES / 1024 / 1024} MB`;
}

/** Without the byte order mark that some programs begin UTF-8 with. */
export function withoutMark(bytes: Buffer): Buffer {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return hasMark ? bytes.subarray(3) : bytes;
}
