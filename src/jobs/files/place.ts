/** Where a job reads and writes: folders of this machine, http(s):// and s3:// addresses. */

/** One file of the input. Small: jobs hold references, never rows. */
export interface FileRef {
  /** Absolute path, or http(s):// or s3:// address. */
  readonly url: string;
  readonly bytes: number;
  /** Changes whenever the content does: ETag, or size and time of the last change. */
  readonly version: string;
  /** False: its server sends it from the start only, so its shards are counted in rows. Left out: any range can be read. */
  readonly ranged?: false;
}

/** Bytes from `start` up to `end`, which is left out; to the end of the file where it is undefined. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number | undefined;
  /** The caller keeps no piece when it asks for the next one: its memory may be used again. */
  readonly mayReuse?: boolean;
}

export interface ListOptions {
  /** Where the job writes, if that is a place of the same kind. */
  readonly output?: string | undefined;
  /** Only whether there is a file: no body is read to learn how long it is, so `bytes` and `version` may be wrong. */
  readonly isLook?: boolean;
}

/** Reads files of one kind of place. */
export interface Reader {
  /**
   * Files that a pattern names, in the order of their names.
   *
   * A job whose output lies within its input must not read its own parts when it runs again:
   * 1. A folder is read without what is below the output. It cannot be the output itself.
   * 2. A glob is read without the parts and manifests below the output.
   * 3. A file that is named is read, wherever it is.
   *
   * @throws InputError if there is none, or it cannot be read
   */
  list(pattern: string, signal: AbortSignal, options: ListOptions): AsyncIterable<FileRef>;
  /**
   * Each chunk is the reader’s to keep.
   *
   * @throws InputError if the file is gone, or is another one than it was
   */
  read(file: FileRef, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Nobody writes on one file for so long without a byte. */
export const LEFT_MS = 3_600_000;

export interface Written {
  readonly url: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Writes files into one folder, or below one s3:// address. */
export interface Writer {
  /**
   * Writes a file whole or not at all: beside, then renamed (S3: one upload with `If-None-Match: *`). A file that is there
   * stays: its name is a function of its content, so it is what would have been written.
   */
  write(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Written>;
  /** The same, but it takes the place of a file that is there. */
  replace(name: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Written>;
  /** What is there under that name, with its checksum. */
  find(name: string, signal: AbortSignal): Promise<Written | undefined>;
  /** Bytes of what is there under that name; it is not read. */
  bytesOf(name: string, signal: AbortSignal): Promise<number | undefined>;
  /**
   * Removes what killed attempts left beside, of more than an hour ago: younger ones may belong to another job.
   *
   * @returns how many things it removed
   */
  tidy(signal: AbortSignal): Promise<number>;
}
