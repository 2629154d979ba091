import { Glob, isGlob, prefixOf } from '../glob.js';
import { InputError } from '../input-error.js';
import { isInputName } from '../names.js';
import type { ByteRange, FileRef, Reader } from '../place.js';
import { bodyOf } from './http-client.js';
import { type OpenedVersion, readRange, type WholeRange } from './remote-range.js';
import { withRetries } from './retries.js';
import { type S3Client, type S3Place, s3PlaceOf } from './s3-client.js';
import { listPage, type S3Entry } from './s3-xml.js';

/** Reads s3:// addresses. */
export class S3Reader implements Reader {
  readonly #client: S3Client;

  constructor(client: S3Client) {
    this.#client = client;
  }

  /**
   * 1. A glob: all files that match, of those that begin with what is before its first wildcard.
   * 2. The key of a file: that file.
   * 3. Else a folder: the files below it whose names say their format.
   */
  async *list(address: string, signal: AbortSignal): AsyncGenerator<FileRef> {
    const place = s3PlaceOf(address);
    const { bucket, key } = place;
    let count = 0;
    for await (const entry of this.#entries(place, signal)) {
      count += 1;
      yield { url: `s3://${bucket}/${entry.key}`, bytes: entry.bytes, version: entry.etag };
    }
    if (count > 0) return;
    throw new InputError(
      isGlob(key)
        ? `no file matches ${address}`
        : `${address} is no file, and no folder with files whose names say that they are JSONL, CSV or Parquet`,
    );
  }

  read(file: FileRef, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return readRange(file, range, signal, (asked) => this.#open(file, asked, signal));
  }

  async #open(
    file: FileRef,
    { start, end }: WholeRange,
    signal: AbortSignal,
  ): Promise<OpenedVersion> {
    const headers = { range: `bytes=${start}-${end - 1}` };
    const place = s3PlaceOf(file.url);
    const reply = await this.#client.send({ method: 'GET', ...place, headers }, signal);
    return { reply, start, isSame: reply.headers.etag?.replaceAll('"', '') === file.version };
  }

  async *#entries({ bucket, key }: S3Place, signal: AbortSignal): AsyncGenerator<S3Entry> {
    if (isGlob(key)) {
      const glob = new Glob(key);
      for await (const entry of this.#pages(bucket, prefixOf(key), signal)) {
        if (glob.matches(entry.key) && !entry.key.endsWith('/')) yield entry; // 1
      }
      return;
    }
    const file =
      key === '' || key.endsWith('/') ? undefined : await this.#find({ bucket, key }, signal);
    if (file !== undefined) {
      yield file; // 2
      return;
    }
    const folder = key === '' || key.endsWith('/') ? key : `${key}/`;
    for await (const entry of this.#pages(bucket, folder, signal)) {
      const parts = entry.key.slice(folder.length).split('/');
      const isHidden = parts.some((part) => part.startsWith('.'));
      if (!isHidden && isInputName(parts.at(-1) ?? '')) yield entry; // 3
    }
  }

  async #find({ bucket, key }: S3Place, signal: AbortSignal): Promise<S3Entry | undefined> {
    return withRetries(signal, async () => {
      const reply = await this.#client.send({ method: 'HEAD', bucket, key }, signal, [404]);
      await bodyOf(reply);
      if (reply.statusCode === 404) return undefined;
      const { 'content-length': length, etag = '' } = reply.headers;
      return { key, bytes: Number(length), etag: etag.replaceAll('"', '') };
    });
  }

  /** By the order of their keys, a page of a thousand at a time. */
  async *#pages(bucket: string, prefix: string, signal: AbortSignal): AsyncGenerator<S3Entry> {
    let token: string | undefined;
    do {
      const query = {
        'list-type': '2',
        'encoding-type': 'url',
        prefix,
        ...(token === undefined ? {} : { 'continuation-token': token }),
      };
      const { entries, next } = await withRetries(signal, async () => {
        const reply = await this.#client.send({ method: 'GET', bucket, query }, signal);
        return listPage((await bodyOf(reply)).toString('utf8'));
      });
      yield* entries;
      token = next;
    } while (token !== undefined);
  }
}
