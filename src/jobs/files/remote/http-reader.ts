import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { InputError } from '../input-error.js';
import type { ByteRange, FileRef, ListOptions, Reader } from '../place.js';
import type { HttpClient } from './http-client.js';
import { type OpenedVersion, readRange, type WholeRange } from './remote-range.js';
import { BusyError, isBusy, withRetries } from './retries.js';

const MAX_REDIRECTS = 5;

/** Reads http(s):// addresses: by ranges where the server has them. */
export class HttpReader implements Reader {
  readonly #client: HttpClient;

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /** One address is one file. Its length and version come with its first byte: addresses that are signed for GET refuse HEAD. */
  async *list(
    address: string,
    signal: AbortSignal,
    { isLook = false }: ListOptions,
  ): AsyncGenerator<FileRef> {
    yield await withRetries(signal, async () => {
      const reply = await this.#get(address, { range: 'bytes=0-0' }, signal);
      const { headers, statusCode: status } = reply;
      const url = address.replace(/#.*$/s, '');
      const total = totalOf(reply);
      if (status === 206 && total !== undefined) {
        reply.destroy();
        return { url, bytes: total, version: versionOf(headers, total) };
      }
      if (status === 206) {
        reply.destroy();
        throw new InputError(`${url}: its server does not say how long it is`);
      }
      // Without ranges; its length may come with its end only.
      const bytes = total ?? (isLook ? 0 : await lengthOf(reply));
      reply.destroy();
      return { url, bytes, version: versionOf(headers, bytes), ranged: false };
    });
  }

  read(file: FileRef, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return readRange(file, range, signal, (asked) => this.#open(file, asked, signal));
  }

  async #open(
    file: FileRef,
    { start, end }: WholeRange,
    signal: AbortSignal,
  ): Promise<OpenedVersion> {
    const range = { range: `bytes=${start}-${end - 1}` };
    const reply = await this.#get(file.url, file.ranged === false ? {} : range, signal);
    const total = totalOf(reply) ?? file.bytes;
    const isSame = total === file.bytes && versionOf(reply.headers, total) === file.version;
    return { reply, start, isSame };
  }

  /** Follows redirects; each one is looked at as if it had been asked for. */
  async #get(
    address: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    let url = urlOf(address);
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const reply = await this.#client.request({ method: 'GET', url, headers }, signal);
      const { statusCode: status = 0, headers: told } = reply;
      if (status === 200 || status === 206 || (status === 416 && totalOf(reply) === 0))
        return reply;
      reply.destroy();
      if (status < 300 || status >= 400 || told.location === undefined) {
        throw failureOf(address, status, told['retry-after']);
      }
      const next = urlOf(told.location, url);
      if (url.protocol === 'https:' && next.protocol === 'http:') {
        throw new InputError(`${address} leads from https:// to http://, which is not followed`);
      }
      url = next;
    }
    throw new InputError(`${address} leads on more than ${MAX_REDIRECTS} times`);
  }
}

/** @throws InputError if it is no address that can be read */
function urlOf(address: string, base?: URL): URL {
  const url = URL.canParse(address, base?.href) ? new URL(address, base) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new InputError(`${address} is no http:// or https:// address`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new InputError(
      `${url.host}: an address with a password would be kept and shown with its job: use one that needs none, or is signed for a time`,
    );
  }
  return url;
}

/** Bytes of the whole file; undefined if the server does not say. */
function totalOf({ statusCode, headers }: IncomingMessage): number | undefined {
  if (statusCode === 200) {
    const length = headers['content-length'];
    return length === undefined ? undefined : Number(length);
  }
  const total = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

async function lengthOf(reply: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of reply) bytes += chunk.byteLength;
  return bytes;
}

function versionOf({ etag, 'last-modified': modified }: IncomingHttpHeaders, bytes: number) {
  return etag ?? modified ?? `${bytes} bytes`;
}

function failureOf(address: string, status: number, retryAfter: string | undefined): Error {
  if (isBusy(status)) return new BusyError(`${address}: its server answered ${status}`, retryAfter);
  if (status === 404 || status === 410)
    return new InputError(`${address} is not there (${status})`);
  if (status === 401 || status === 403) {
    return new InputError(`${address} may not be read: its server answered ${status}`);
  }
  return new InputError(`${address}: its server answered ${status}`);
}
