import { InputError } from './input-error.js';
import { AllowedFolders } from './local/allowed-folders.js';
import { LocalReader, pathOf } from './local/local-reader.js';
import { LocalWriter } from './local/local-writer.js';
import type { ByteRange, FileRef, ListOptions, Reader, Writer } from './place.js';
import { HttpClient } from './remote/http-client.js';
import { HttpReader } from './remote/http-reader.js';
import { S3Client, type S3Options } from './remote/s3-client.js';
import { S3Reader } from './remote/s3-reader.js';
import { S3Writer } from './remote/s3-writer.js';

export interface PlacesOptions {
  readonly s3: S3Options;
  /** Folders of this machine that may be read and written; `any` for jobs of the machine’s own user. */
  readonly folders: readonly string[] | 'any';
  /** Whether http(s):// may lead to private networks and this machine. */
  readonly privateAddresses: boolean;
}

/** All places that jobs read from and write to: folders of this machine, http(s)://, s3://. */
export class Places {
  readonly #folders: AllowedFolders;
  readonly #local: LocalReader;
  readonly #httpClient: HttpClient;
  readonly #http: HttpReader;
  readonly #s3Client: S3Client;
  readonly #s3: S3Reader;

  constructor(options: PlacesOptions) {
    this.#folders = new AllowedFolders(options.folders);
    this.#local = new LocalReader(this.#folders);
    this.#httpClient = new HttpClient(options.privateAddresses);
    this.#http = new HttpReader(this.#httpClient);
    this.#s3Client = new S3Client(options.s3);
    this.#s3 = new S3Reader(this.#s3Client);
  }

  /**
   * Files that the patterns name, in the order of the patterns and then of their names; each one once.
   *
   * @param options its output may be of another kind; what lies in it is no input, see {@link Reader.list}
   * @throws InputError if a pattern names no file, or one that may not be read
   */
  async *list(
    patterns: readonly string[],
    signal: AbortSignal,
    { output, isLook = false }: ListOptions = {},
  ): AsyncGenerator<FileRef> {
    const seen = new Set<string>();
    for (const pattern of patterns) {
      const isNear = output !== undefined && kindOf(output) === kindOf(pattern);
      const options = { output: isNear ? output : undefined, isLook };
      const files = this.#readerOf(pattern).list(pattern, signal, options);
      for await (const file of files) {
        if (seen.has(file.url)) continue;
        if (patterns.length > 1) seen.add(file.url);
        yield file;
      }
    }
  }

  /** @throws InputError if the file is gone, or is another one than it was */
  read(file: FileRef, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#readerOf(file.url).read(file, range, signal);
  }

  /**
   * @param place a folder of this machine, or `s3://bucket/prefix/`
   * @throws InputError if nothing can be written there
   */
  writer(place: string): Writer {
    const kind = kindOf(place);
    if (kind === 'http')
      throw new InputError(`${place}: parts are written to folders and s3:// only`);
    if (kind === 's3') return new S3Writer(this.#s3Client, place);
    const folder = pathOf(place);
    this.#folders.assertNamed(folder);
    return new LocalWriter(folder, this.#folders);
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    this.#httpClient.close();
    this.#s3Client.close();
  }

  #readerOf(place: string): Reader {
    const readers = { local: this.#local, http: this.#http, s3: this.#s3 };
    return readers[kindOf(place)];
  }
}

type PlaceKind = 'local' | 'http' | 's3';

/** @throws InputError for an address of another kind */
function kindOf(place: string): PlaceKind {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') return 'local';
  if (scheme === 'http' || scheme === 'https') return 'http';
  if (scheme === 's3') return 's3';
  throw new InputError(`${place}: files are read from folders, http://, https:// and s3:// only`);
}
