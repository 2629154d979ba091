import { createHash } from 'node:crypto';
import { InputError } from '../input-error.js';
import { LEFT_MS, type Writer, type Written } from '../place.js';
import { bodyOf } from './http-client.js';
import { withRetries } from './retries.js';
import { type S3Client, type S3Place, S3Refusal, type S3Request, s3PlaceOf } from './s3-client.js';
import { completeXml, elementOf, elementsOf } from './s3-xml.js';

/** What is longer is sent in pieces of that size, of which there may be 10,000. */
const PIECE_BYTES = 8 * 1024 * 1024;
const CHECKSUM = 'x-amz-meta-sha256';
const IF_NONE = { 'if-none-match': '*' };

/** Writes below one s3:// address. It holds one piece of 8 MB; each is checked by its SHA-256, which is part of its signature. */
export class S3Writer implements Writer {
  readonly #client: S3Client;
  readonly #folder: S3Place;

  constructor(client: S3Client, address: string) {
    this.#client = client;
    const { bucket, key } = s3PlaceOf(address);
    this.#folder = { bucket, key: key === '' || key.endsWith('/') ? key : `${key}/` };
  }

  async write(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Written> {
    const written = await this.#put(name, chunks, IF_NONE, signal);
    if (written !== undefined) return written;
    const there = await this.find(name, signal);
    if (there !== undefined) return there;
    throw new Error(`${this.#urlOf(name)} was there, and is gone`);
  }

  async replace(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Written> {
    const written = await this.#put(name, chunks, {}, signal);
    if (written === undefined) throw new Error(`${this.#urlOf(name)} could not be replaced`);
    return written;
  }

  async find(name: string, signal: AbortSignal): Promise<Written | undefined> {
    const place = this.#placeOf(name);
    const url = this.#urlOf(name);
    return withRetries(signal, async () => {
      const head = await this.#client.send({ method: 'HEAD', ...place }, signal, [404]);
      await bodyOf(head);
      if (head.statusCode === 404) return undefined;
      const sha256 = head.headers[CHECKSUM];
      if (typeof sha256 === 'string') {
        return { url, bytes: Number(head.headers['content-length']), sha256 };
      }
      // What was sent in pieces does not say it.
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of await this.#client.send({ method: 'GET', ...place }, signal)) {
        hash.update(chunk);
        bytes += chunk.length;
      }
      return { url, bytes, sha256: hash.digest('hex') };
    });
  }

  bytesOf(name: string, signal: AbortSignal): Promise<number | undefined> {
    const place = this.#placeOf(name);
    return withRetries(signal, async () => {
      const head = await this.#client.send({ method: 'HEAD', ...place }, signal, [404]);
      await bodyOf(head);
      return head.statusCode === 404 ? undefined : Number(head.headers['content-length']);
    });
  }

  /** Uploads in pieces that nobody will end. Servers that cannot list them have their own ways to drop them. */
  async tidy(signal: AbortSignal): Promise<number> {
    const { bucket, key: prefix } = this.#folder;
    const query = { uploads: '', prefix: `${prefix}part-` };
    const reply = await this.#client.send(
      { method: 'GET', bucket, query },
      signal,
      [400, 403, 501],
    );
    const xml = (await bodyOf(reply)).toString('utf8');
    let count = 0;
    for (const upload of elementsOf(xml, 'Upload')) {
      const [key, uploadId] = [elementOf(upload, 'Key'), elementOf(upload, 'UploadId')];
      const begun = Date.parse(elementOf(upload, 'Initiated') ?? '');
      if (key === undefined || uploadId === undefined || !(Date.now() - begun > LEFT_MS)) continue;
      await this.#abort({ bucket, key }, uploadId, signal);
      count += 1;
    }
    return count;
  }

  /** @returns undefined if there is a file, and it was not to be replaced */
  async #put(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    condition: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Written | undefined> {
    const place = this.#placeOf(name);
    const hash = createHash('sha256');
    const upload = new Upload(this.#client, place, condition, signal);
    let bytes = 0;
    try {
      for await (const piece of piecesOf(chunks)) {
        signal.throwIfAborted();
        hash.update(piece);
        bytes += piece.length;
        await upload.add(piece);
      }
      const sha256 = hash.digest('hex');
      const isWritten = await upload.finish(sha256);
      return isWritten ? { url: this.#urlOf(name), bytes, sha256 } : undefined;
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async #abort(place: S3Place, uploadId: string, signal: AbortSignal): Promise<void> {
    const request: S3Request = { method: 'DELETE', ...place, query: { uploadId } };
    await bodyOf(await this.#client.send(request, signal, [404]));
  }

  #placeOf(name: string): S3Place {
    if (name === '' || name.startsWith('.') || name.includes('/')) {
      throw new InputError(`${name} is no name of a part`);
    }
    return { bucket: this.#folder.bucket, key: `${this.#folder.key}${name}` };
  }

  #urlOf(name: string): string {
    const { bucket, key } = this.#placeOf(name);
    return `s3://${bucket}/${key}`;
  }
}

type Bare = Omit<S3Request, 'bucket' | 'key'>;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly etag: string;
}

/** One file on its way: with one request if it is one piece, else in several. It holds the last piece. */
class Upload {
  readonly #client: S3Client;
  readonly #place: S3Place;
  readonly #condition: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;
  readonly #etags: string[] = [];
  #last: Buffer = Buffer.alloc(0);
  #uploadId: string | undefined;

  constructor(
    client: S3Client,
    place: S3Place,
    condition: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#place = place;
    this.#condition = condition;
    this.#signal = signal;
  }

  async add(piece: Buffer): Promise<void> {
    if (this.#last.length > 0) await this.#send(this.#last);
    this.#last = piece;
  }

  /** @returns false if there is a file already */
  async finish(sha256: string): Promise<boolean> {
    if (this.#uploadId === undefined) {
      const headers = { [CHECKSUM]: sha256 };
      const request = { method: 'PUT', headers, body: this.#last } as const;
      const reply = await this.#askConditionally(request, [412]);
      return reply.status !== 412;
    }
    await this.#send(this.#last);
    const reply = await this.#askConditionally(
      {
        method: 'POST',
        query: { uploadId: this.#uploadId },
        headers: { 'content-type': 'application/xml' },
        body: Buffer.from(completeXml(this.#etags)),
      },
      // 404: an attempt before this one ended it, or somebody tidied up.
      [404, 412],
    );
    if (reply.status >= 300) await this.abort();
    // It may fail after it began to answer.
    else if (reply.text.includes('<Error>'))
      throw new Error(`S3 could not join the pieces: ${reply.text}`);
    return reply.status < 300;
  }

  /** Nothing stays of it. */
  async abort(): Promise<void> {
    if (this.#uploadId === undefined) return;
    const query = { uploadId: this.#uploadId };
    const request: S3Request = { method: 'DELETE', ...this.#place, query };
    // The signal may be why it ends.
    const signal = AbortSignal.timeout(10_000);
    await this.#client.send(request, signal, [404]).then(bodyOf, () => undefined);
  }

  async #send(piece: Buffer): Promise<void> {
    this.#uploadId ??= await this.#begin();
    const query = { partNumber: String(this.#etags.length + 1), uploadId: this.#uploadId };
    const { etag } = await this.#ask({ method: 'PUT', query, body: piece });
    this.#etags.push(etag);
  }

  async #begin(): Promise<string> {
    const { text } = await this.#ask({ method: 'POST', query: { uploads: '' } });
    const uploadId = elementOf(text, 'UploadId');
    if (uploadId === undefined) throw new Error('S3 gave no id for an upload in pieces');
    return uploadId;
  }

  /**
   * 1. With the condition, if the server is thought to know it.
   * 2. Servers that do not know it answer 501 or 400: then it is looked for first, and written without one. Whoever writes it meanwhile
   *    writes the same: the name of a part is a function of its content.
   */
  async #askConditionally(request: Bare, expected: readonly number[]): Promise<Answer> {
    const isWanted = Object.keys(this.#condition).length > 0;
    const headers = { ...request.headers, ...this.#condition };
    if (!isWanted) return this.#ask(request, expected);
    if (this.#client.knowsConditions) {
      try {
        return await this.#ask({ ...request, headers }, expected); // 1
      } catch (error) {
        const isUnknown = error instanceof S3Refusal && [400, 501].includes(error.answered);
        if (!isUnknown) throw error;
      }
    }
    const head = await this.#ask({ method: 'HEAD' }, [404]); // 2
    if (head.status !== 404) return { ...head, status: 412 };
    const reply = await this.#ask(request, expected);
    this.#client.knowsConditions = false;
    return reply;
  }

  #ask(request: Bare, expected: readonly number[] = []): Promise<Answer> {
    return withRetries(this.#signal, async () => {
      const reply = await this.#client.send({ ...this.#place, ...request }, this.#signal, expected);
      const text = (await bodyOf(reply)).toString('utf8');
      return { status: reply.statusCode ?? 0, text, etag: reply.headers.etag ?? '' };
    });
  }
}

/** Joins chunks into pieces. Each but the last has the same size, as some servers want it. */
async function* piecesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (bytes + rest.byteLength >= PIECE_BYTES) {
      held.push(rest.subarray(0, PIECE_BYTES - bytes));
      rest = rest.subarray(PIECE_BYTES - bytes);
      yield Buffer.concat(held);
      held = [];
      bytes = 0;
    }
    if (rest.byteLength > 0) held.push(rest);
    bytes += rest.byteLength;
  }
  if (bytes > 0) yield Buffer.concat(held);
}
