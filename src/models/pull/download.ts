import { type FileHandle, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';
import { collectGarbage } from '../../system/own-process.js';
import { type HeldFileLock, withFileLock } from './file-lock.js';
import { RunningChecksum } from './hub/checksum.js';
import { retryWaitMs, type Wait, wait as waitForReal } from './hub/waits.js';
import type { HubClient, HubFileHead } from './hub-client.js';
import { HubError } from './hub-error.js';

/** A source that sends nothing for this long is asked again from where it stopped, ms. */
const STALL_MS = 30_000;
/** Attempts in a row that bring nothing before the download is given up. */
const MAX_FRUITLESS_ATTEMPTS = 5;
/** What is left free on the disk beside the file. */
const SPARE_DISK_BYTES = 64 * 2 ** 20;
/** After so many bytes the buffers that they came in are given back: V8 by itself lets tens of MB of them gather. */
const COLLECT_EVERY_BYTES = 2 ** 20;
/** Of our own: `huggingface_hub` appends to `<etag>.incomplete` under a lock that other programs do not take. */
const PARTIAL = '.plimsoll.incomplete';

export interface DownloadOptions {
  readonly client: Pick<HubClient, 'content'>;
  readonly head: HubFileHead;
  /** Asks for the head anew: where the content is may be signed for a short time only. */
  readonly renew: () => Promise<HubFileHead>;
  /** Name of the file for people. */
  readonly name: string;
  /** Where its content goes; whoever finds it there with its size finds all of it. */
  readonly target: string;
  readonly signal: AbortSignal;
  /** Called with the bytes that are there so far, those of earlier attempts too. */
  readonly onBytes: (bytes: number) => void;
  /** How it waits before it asks again. */
  readonly wait?: Wait | undefined;
}

/**
 * Fetches one file: beside its place first, from where an earlier attempt stopped, then checks its size and
 * checksum and renames it. A cut connection is taken up again by itself.
 *
 * @throws HubError
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { name, target, signal, head } = options;
  const partial = `${target}${PARTIAL}`;
  try {
    await mkdir(path.dirname(target), { recursive: true });
    for (let tries = 0, isDone = false; !isDone; tries += 1) {
      if (tries >= MAX_FRUITLESS_ATTEMPTS) {
        throw new HubError('disk', `${partial} is written by another program at the same time`);
      }
      isDone = await withFileLock(partial, signal, async (lock) => {
        // Somebody else may have fetched it meanwhile.
        return (await hasSize(target, head.sizeBytes)) || fetchTo(partial, lock, options);
      });
    }
  } catch (error) {
    if (signal.aborted) throw new HubError('stopped', `${name}: stopped; what is there is kept`);
    throw asHubError(error, name);
  }
}

/** Whether a file is there, and as long as it has to be. */
export async function hasSize(file: string, sizeBytes: number): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true && found.size === sizeBytes;
}

/** Bytes of a file that lie at its place already, or beside it from an earlier attempt. */
export async function bytesThere(target: string): Promise<number> {
  const sizes = [target, `${target}${PARTIAL}`].map((file) => stat(file).catch(() => undefined));
  return Math.max(...(await Promise.all(sizes)).map((found) => found?.size ?? 0));
}

/** @returns false if another process took the lock meanwhile: then it is looked at anew */
async function fetchTo(
  partial: string,
  lock: HeldFileLock,
  options: DownloadOptions,
): Promise<boolean> {
  const { head, name, target } = options;
  const there = (await stat(partial).catch(() => undefined))?.size ?? 0;
  if (there > head.sizeBytes) await rm(partial, { force: true });
  const missing = head.sizeBytes - (there > head.sizeBytes ? 0 : there);
  await checkFree(path.dirname(target), missing, name);
  await (await open(partial, 'a', 0o644)).close();
  // Each byte is written to its place: two processes that write at once write the same.
  const file = await open(partial, 'r+');
  try {
    const hash = await continueTo(file, partial, options);
    if (!(await lock.isHeld())) return false;
    if (!hash.matches()) {
      // Wrong bytes must not be taken up again.
      await file.truncate(0);
      const message = `${name}: its checksum is another one than the hub names; it was fetched wrong, or the hub's copy is damaged`;
      throw new HubError('checksum', `${message}. Try again`);
    }
    await file.datasync();
    const [own, inPlace] = [await file.stat(), await stat(partial)];
    // Somebody has changed the file meanwhile: what it holds now is read and checked from the start.
    if (own.size !== head.sizeBytes || own.ino !== inPlace.ino) return false;
    await rename(partial, target);
    return true;
  } finally {
    await file.close();
  }
}

/** Fetches what is missing, in as many attempts as it takes. */
async function continueTo(
  file: FileHandle,
  partial: string,
  options: DownloadOptions,
): Promise<RunningChecksum> {
  const { signal, onBytes, wait = waitForReal } = options;
  let { head } = options;
  let hash = new RunningChecksum(head.checksum, head.sizeBytes);
  let bytes = await hash.takeFile(partial);
  onBytes(bytes);
  const startAnew = async () => {
    await file.truncate(0);
    hash = new RunningChecksum(head.checksum, head.sizeBytes);
    bytes = 0;
  };
  let uncollected = 0;
  for (let fruitless = 0; bytes < head.sizeBytes; ) {
    const before = bytes;
    try {
      const body = await openBody({ ...options, head }, bytes);
      if (body.startsAnew) await startAnew();
      for await (const chunk of body.chunks) {
        if (bytes + chunk.byteLength > head.sizeBytes) {
          await file.truncate(0);
          throw new HubError('checksum', `${options.name}: more bytes came than the hub named`);
        }
        await writeAll(file, chunk, bytes);
        uncollected += chunk.byteLength;
        if (uncollected >= COLLECT_EVERY_BYTES) {
          uncollected = 0;
          collectGarbage('minor');
        }
        hash.take(chunk);
        bytes += chunk.byteLength;
        onBytes(bytes);
      }
      // An answer that ends early without an error is a cut as well.
      if (bytes < head.sizeBytes && bytes === before) {
        throw new HubError('network', `${options.name}: the connection ends again and again`);
      }
    } catch (error) {
      signal.throwIfAborted();
      const isRefused = isRefusal(error);
      if (!isPassing(error) && !isRefused) throw error;
      fruitless = bytes > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_ATTEMPTS || (isRefused && fruitless > 1)) throw error;
      if (isRefused) {
        // The address may have expired; a source that does not have the range counts other bytes.
        head = sameFile(head, await options.renew(), options.name);
        if (error instanceof HubError && error.kind === 'answer') await startAnew();
        continue;
      }
      const waitMs = retryWaitMs(error, fruitless + 1);
      if (waitMs === undefined) throw error;
      await wait(waitMs, signal);
    }
  }
  return hash;
}

/** A file handle may write less than it is given. */
async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const left = chunk.byteLength - done;
    done += (await file.write(chunk, done, left, position + done)).bytesWritten;
  }
}

/** @throws HubError if the hub tells of another file now */
function sameFile(before: HubFileHead, now: HubFileHead, name: string): HubFileHead {
  if (now.etag === before.etag && now.sizeBytes === before.sizeBytes) return now;
  throw new HubError('answer', `${name}: the hub tells of another file than a moment ago`);
}

/** Whether where the content is refuses: 403 for an address that has expired, 416 for a range that it does not have. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof HubError)) return false;
  return /^(?:token|missing|gated|entry|answer)$/.test(error.kind);
}

interface Body {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The source does not continue where it was asked to. */
  readonly startsAnew: boolean;
}

async function openBody(
  { client, head, name, signal }: DownloadOptions,
  fromByte: number,
): Promise<Body> {
  const stall = new AbortController();
  const both = AbortSignal.any([signal, stall.signal]);
  const arm = () => setTimeout(() => stall.abort(new Error('nothing comes any more')), STALL_MS);
  let timer = arm();
  try {
    const reply = await client.content(head.location, fromByte, name, both);
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

/** @throws HubError `disk` if a folder's disk has less room than bytes that are to be fetched */
export async function checkFree(folder: string, bytes: number, name: string): Promise<void> {
  const found = await statfs(folder);
  const free = found.bavail * found.bsize;
  // Some file systems do not know how much room they have.
  if (found.blocks === 0 || free >= bytes + SPARE_DISK_BYTES) return;
  const message = `${name}: ${mb(bytes)} MB are to be fetched, and ${mb(free)} MB are free in ${folder}`;
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

function mb(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
