import type { IncomingMessage } from 'node:http';
import { InputError } from '../input-error.js';
import type { ByteRange, FileRef } from '../place.js';
import { resumed } from './retries.js';

/** From the first byte to the one behind the last. */
export interface WholeRange {
  readonly start: number;
  readonly end: number;
}

/** A reply to a request for a range. */
export interface OpenedVersion {
  readonly reply: IncomingMessage;
  /** The byte that was asked for first; a server without ranges begins at 0 all the same. */
  readonly start: number;
  /** Whether the file is the one that was listed. */
  readonly isSame: boolean;
}

/**
 * Bytes of a remote file, over connections that break.
 *
 * @throws InputError if it is another file than when it was listed
 */
export function readRange(
  file: FileRef,
  { start, end: wanted }: ByteRange,
  signal: AbortSignal,
  open: (range: WholeRange) => Promise<OpenedVersion>,
): AsyncGenerator<Uint8Array> {
  const end = Math.min(wanted ?? file.bytes, file.bytes);
  const openFrom = async (from: number) => {
    const { reply, start: asked, isSame } = await open({ start: from, end });
    if (!isSame) {
      reply.destroy();
      throw new InputError(
        `${file.url} is another file than when the job began: start the job again`,
      );
    }
    return { from: reply.statusCode === 206 ? asked : 0, body: reply };
  };
  return resumed(openFrom, { start, end }, signal);
}
