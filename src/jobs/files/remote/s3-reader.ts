import { Glob, isGlob, prefixOf } from '../glob.js';
import { InputError, nothingMatches, outputIsInput } from '../input-error.js';
import { isInputName, isWrittenName } from '../names.js';
import type { ByteRange, FileRef, ListOptions, Reader } from '../place.js';
import { bodyOf } from './http-client.js';
import { type OpenedVersion, readRange, type WholeRange } from './remote-range.js';
import { withRetries } from './retries.js';
import { type S3Client, type S3Place, s3PlaceOf } from './s3-client.js';
import { listPage, type S3Entry } from './s3-xml.js';

/** Where the job itself writes in the bucket, and how many files of it were left out. */
interface Own {
  readonly folder: string | undefined;
  leftOut: number;
}

/** The key that all files of a folder begin with. */
function folderOf(key: string): string {
  return key === '' || key.endsWith('/') ? key : `${key}/`;
}

/** Reads s3:// addresses. */
export class S3Reader implements Reader {
  readonly #client: S3Client;

  constructor(client: S3Client) {
    this.#client = client;
  }

  /**
   * 1. A key that is there as it is written: that file, even if it has wildcards.
   * 2. A glob: all files that match, of those that begin with what is before its first wildcard. One that ends with `/` stands for
   *    folders, and is read like them.
   * 3. Else a folder: the files below it whose names say their format.
   */
  async *list(
    address: string,
    signal: AbortSignal,
    { output }: ListOptions,
  ): AsyncGenerator<FileRef> {
    const place = s3PlaceOf(address);
    const { bucket, key } = place;
    let count = 0;
    const out = output === undefined ? undefined : s3PlaceOf(output);
    const own = { folder: out?.bucket === bucket ? folderOf(out.key) : undefined, leftOut: 0 };
    for await (const entry of this.#entries(place, own, signal)) {
      count += 1;
      yield { url: `s3://${bucket}/${entry.key}`, bytes: entry.bytes, version: entry.etag };
    }
    if (count > 0) return;
    throw isGlob(key)
      ? nothingMatches(address, own.leftOut)
      : new InputError(
          `${address} is no file, and no folder with files whose names say that they are JSONL, CSV or Parquet`,
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

  async *#entries(place: S3Place, own: Own, signal: AbortSignal): AsyncGenerator<S3Entry> {
    const { bucket, key } = place;
    const isFile = key !== '' && !key.endsWith('/');
    const file = isFile ? await this.#find(place, signal) : undefined;
    if (file !== undefined) {
      yield file; // 1
      return;
    }
    let count = 0;
    if (isGlob(key)) {
      for await (const entry of this.#matching(place, own, signal)) {
        count += 1;
        yield entry; // 2
      }
    }
    if (count > 0) return;
    const folder = folderOf(key);
    if (own.folder === folder) throw outputIsInput(`s3://${bucket}/${folder}`);
    const isWithin = own.folder?.startsWith(folder) === true;
    for await (const entry of this.#pages(bucket, folder, signal)) {
      if (isWithin && entry.key.startsWith(own.folder ?? '')) continue;
      const parts = entry.key.slice(folder.length).split('/');
      const isHidden = parts.some((part) => part.startsWith('.'));
      if (!isHidden && isInputName(parts.at(-1) ?? '')) yield entry; // 3
    }
  }

  async *#matching(
    { bucket, key }: S3Place,
    own: Own,
    signal: AbortSignal,
  ): AsyncGenerator<S3Entry> {
    const isOfFolders = key.endsWith('/');
    const glob = new Glob(isOfFolders ? `${key}**` : key);
    const base = prefixOf(key).replace(/[^/]*$/, '');
    const output = own.folder?.startsWith(base) === true ? own.folder : undefined;
    for await (const entry of this.#pages(bucket, prefixOf(key), signal)) {
      const name = entry.key.split('/').at(-1) ?? '';
      if (name === '' || !glob.matches(entry.key)) continue;
      if (isOfFolders && !isInputName(name)) continue;
      const isBelow = output !== undefined && entry.key.startsWith(output);
      if (isBelow && isWrittenName(name)) own.leftOut += 1;
      else yield entry;
    }
  }

  async #find({ bucket, key }: S3Place, signal: AbortSignal): Promise<S3Entry | undefined> {
    // Who may not list is told 403 of keys that are not there; of a glob, listing says what is wrong.
    const absent = isGlob(key) ? [400, 403, 404] : [404];
    return withRetries(signal, async () => {
      const reply = await this.#client.send({ method: 'HEAD', bucket, key }, signal, absent);
      await bodyOf(reply);
      if (absent.includes(reply.statusCode ?? 0)) return undefined;
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
