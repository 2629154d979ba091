import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { systemCodeOf } from '../../errors.js';
import { collectGarbage } from '../../system/own-process.js';
import { exists } from './cache-folder.js';
import { withFileLock } from './file-lock.js';
import type { HubClient, HubFileHead } from './hub-client.js';
import { HubError } from './hub-error.js';

/** A source that sends nothing for this long is asked again from where it stopped, ms. */
const STALL_MS = 30_000;
/** Attempts in a row that bring nothing before the download is given up. */
const MAX_FRUITLESS_ATTEMPTS = 5;
/** Wait before the first new attempt; doubles with each fruitless one, ms. */
const FIRST_RETRY_MS = 500;
/** What is left free on the disk beside the file. */
const SPARE_DISK_BYTES = 64 * 2 ** 20;
/** After so many bytes the buffers that they came in are given back: V8 by itself lets tens of MB of them gather. */
const COLLECT_EVERY_BYTES = 2 ** 20;
const SHA256 = /^[0-9a-f]{64}$/;
const GIT_ID = /^[0-9a-f]{40}$/;

export interface DownloadOptions {
  readonly client: Pick<HubClient, 'content'>;
  readonly head: HubFileHead;
  /** Name of the file for people. */
  readonly name: string;
  /** Where its content goes; whoever finds it there finds all of it. */
  readonly target: string;
  readonly signal: AbortSignal;
  /** Called with the bytes that are there so far, those of earlier attempts too. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Fetches one file: beside its place first, from where an earlier attempt stopped, then checks its size and
 * checksum and renames it. A cut connection is taken up again by itself.
 *
 * @throws HubError
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { name, target, signal } = options;
  const partial = `${target}.incomplete`;
  try {
    await mkdir(path.dirname(target), { recursive: true });
    await withFileLock(partial, signal, async () => {
      // Somebody else may have fetched it meanwhile.
      if (!(await exists(target))) await fetchTo(partial, options);
    });
  } catch (error) {
    if (signal.aborted) throw new HubError('stopped', `${name}: stopped; what is there is kept`);
    throw asHubError(error, name);
  }
}

async function fetchTo(partial: string, options: DownloadOptions): Promise<void> {
  const { head, name, target } = options;
  const there = (await stat(partial).catch(() => undefined))?.size ?? 0;
  if (there > head.sizeBytes) await rm(partial, { force: true });
  await checkRoom(target, head.sizeBytes - (there > head.sizeBytes ? 0 : there), name);
  const file = await open(partial, 'a+', 0o644);
  try {
    const hash = await continueTo(file, partial, options);
    if (!hash.matches()) {
      // Wrong bytes must not be taken up again.
      await file.truncate(0);
      const message = `${name}: its checksum is another one than the hub names; it was fetched wrong, or the hub's copy is damaged`;
      throw new HubError('checksum', `${message}. Try again`);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(partial, target);
}

/** Fetches what is missing, in as many attempts as it takes. */
async function continueTo(
  file: FileHandle,
  partial: string,
  options: DownloadOptions,
): Promise<Checksum> {
  const { head, signal, onBytes } = options;
  let hash = new Checksum(head);
  let bytes = await hash.takeFile(partial);
  onBytes(bytes);
  let uncollected = 0;
  for (let fruitless = 0; bytes < head.sizeBytes; ) {
    const before = bytes;
    try {
      const body = await openBody(options, bytes);
      if (body.startsAnew) {
        await file.truncate(0);
        hash = new Checksum(head);
        bytes = 0;
      }
      for await (const chunk of body.chunks) {
        if (bytes + chunk.byteLength > head.sizeBytes) {
          throw new HubError('checksum', `${options.name}: more bytes came than the hub named`);
        }
        await file.write(chunk);
        uncollected += chunk.byteLength;
        if (uncollected >= COLLECT_EVERY_BYTES) {
          uncollected = 0;
          collectGarbage('minor');
        }
        hash.take(chunk);
        bytes += chunk.byteLength;
        onBytes(bytes);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      fruitless = bytes > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_ATTEMPTS) throw error;
      await pause(FIRST_RETRY_MS * 2 ** fruitless, signal);
      continue;
    }
    // An answer that ends early without an error is a cut as well.
    if (bytes < head.sizeBytes) {
      fruitless = bytes > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_ATTEMPTS) {
        throw new HubError('network', `${options.name}: the connection ends again and again`);
      }
    }
  }
  return hash;
}

interface Body {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The source does not continue where it was asked to. */
  readonly startsAnew: boolean;
}

async function openBody(
  { client, head, signal }: DownloadOptions,
  fromByte: number,
): Promise<Body> {
  const stall = new AbortController();
  const both = AbortSignal.any([signal, stall.signal]);
  const arm = () => setTimeout(() => stall.abort(new Error('nothing comes any more')), STALL_MS);
  let timer = arm();
  try {
    const reply = await client.content(head.location, fromByte, both);
    const continues = reply.headers.get('content-range')?.startsWith(`bytes ${fromByte}-`) === true;
    const body = reply.body ?? [];
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of body) {
          clearTimeout(timer);
          timer = arm();
          yield chunk;
        }
      } finally {
        clearTimeout(timer);
      }
    }
    return { chunks: chunks(), startsAnew: fromByte > 0 && !(reply.status === 206 && continues) };
  } catch (error) {
    clearTimeout(timer);
    throw error;
  }
}

/**
 * The checksum that a file's ETag names: SHA-256 for large files (Git LFS), else git's own id, the SHA-1 of
 * `blob <size>\0` and the content (gitformat-loose). Another ETag names none, and the size alone is checked.
 */
class Checksum {
  readonly #hash: Hash | undefined;
  readonly #etag: string;

  constructor({ etag, sizeBytes }: HubFileHead) {
    this.#etag = etag;
    if (SHA256.test(etag)) this.#hash = createHash('sha256');
    else if (GIT_ID.test(etag)) this.#hash = createHash('sha1').update(`blob ${sizeBytes}\0`);
  }

  take(chunk: Uint8Array): void {
    this.#hash?.update(chunk);
  }

  /** Takes what an earlier attempt has left. @returns its bytes */
  async takeFile(file: string): Promise<number> {
    let bytes = 0;
    await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), async (chunks) => {
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        this.take(chunk);
        bytes += chunk.byteLength;
      }
    });
    return bytes;
  }

  matches(): boolean {
    return this.#hash === undefined || this.#hash.digest('hex') === this.#etag;
  }
}

async function checkRoom(target: string, bytes: number, name: string): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(target));
  const free = bavail * bsize;
  if (free >= bytes + SPARE_DISK_BYTES) return;
  const message = `${name}: ${mb(bytes)} MB are to be fetched, and ${mb(free)} MB are free in ${path.dirname(target)}`;
  throw new HubError('disk', `${message}: make room, or set HF_HOME to another disk`);
}

function isPassing(error: unknown): boolean {
  if (error instanceof HubError) return error.isPassing;
  const code = systemCodeOf(error);
  return code === undefined || /^(ECONN|ETIMEDOUT|EPIPE|ENETUN|EHOSTUN|EAI_|UND_)/.test(code);
}

export function asHubError(error: unknown, name: string): HubError {
  if (error instanceof HubError) return error;
  const code = systemCodeOf(error) ?? '';
  const message = error instanceof Error ? error.message : String(error);
  const isDisk = /^(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EIO|ENOENT|ENOTDIR)$/.test(code);
  if (!isDisk) return new HubError('network', `${name}: the connection broke: ${message}`, error);
  const remedy = code === 'ENOSPC' || code === 'EDQUOT' ? '; make room and try again' : '';
  return new HubError('disk', `${name} cannot be written: ${message}${remedy}`, error);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

function mb(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
