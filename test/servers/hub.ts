import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the hub misbehaves. */
export interface HubFaults {
  /** The connection breaks after so many bytes of a large file, so many times. */
  cutAfterBytes?: number;
  cuts?: number;
  /** A large file stops after so many bytes, until {@link HubServer.goOn}; the connection stays open. */
  stopsAfterBytes?: number;
  /** Large files come with one byte changed. */
  damages?: boolean;
  /** So many answers of the hub itself are this status, with `Retry-After` where one is given. */
  busy?: { times: number; readonly status: number; readonly retryAfter?: string };
  /** So many connections to the hub itself break before an answer. */
  resets?: number;
  /** So many requests to the storage answer 403: the address has expired. */
  expired?: number;
  /** The storage does not have any range that is asked for. */
  hasNoRanges?: boolean;
  /** ETags of small files, instead of git's ids; and the list tells no checksums. */
  etagOf?: (content: Buffer) => string;
  /** Every address answers with this status and `X-Error-Code`. */
  refuses?: { readonly status: number; readonly code?: string; readonly message?: string };
}

/** A request that the hub or its storage has got. */
export interface SeenRequest {
  readonly host: 'hub' | 'storage';
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** Files above this are kept in the storage, as Git LFS has them. */
const LARGE_BYTES = 1024;
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/**
 * A hub on the loopback interface, with the addresses and headers of the real one: a list of files, small
 * files answered by the hub itself, large ones redirected to a storage on another port.
 */
export class HubServer {
  readonly seen: SeenRequest[] = [];
  readonly faults: HubFaults = {};
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #held: (() => void)[] = [];
  readonly #hub: Server;
  readonly #storage: Server;
  #endpoint = '';

  private constructor(files: ReadonlyMap<string, Buffer>) {
    this.#files = files;
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#storage = createServer((request, response) => this.#serveStorage(request, response));
  }

  /** @param files of the model `org/name`, by their path */
  static async start(files: ReadonlyMap<string, Buffer>): Promise<HubServer> {
    const server = new HubServer(files);
    for (const part of [server.#hub, server.#storage]) {
      part.listen(0, '127.0.0.1');
      await once(part, 'listening');
    }
    server.#endpoint = addressOf(server.#hub);
    return server;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  /** Address of the storage that large files are redirected to. */
  get storage(): string {
    return addressOf(this.#storage);
  }

  /** Content that was sent for a file, in requests. */
  requestsFor(file: string): readonly SeenRequest[] {
    return this.seen.filter(
      ({ url, method }) => url.replace(/\?.*$/, '').endsWith(file) && method === 'GET',
    );
  }

  /** Sends the rest of what was stopped, and stops nothing more. */
  goOn(): void {
    delete this.faults.stopsAfterBytes;
    for (const send of this.#held.splice(0)) send();
  }

  async stop(): Promise<void> {
    for (const part of [this.#hub, this.#storage]) {
      if (!part.listening) continue;
      part.closeAllConnections();
      part.close();
      await once(part, 'close');
    }
  }

  #see(host: SeenRequest['host'], { method = '', url = '', headers }: IncomingMessage): void {
    const { authorization, range } = headers;
    this.seen.push({ host, method, url, authorization, range });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#see('hub', request);
    const { refuses, busy } = this.faults;
    if ((this.faults.resets ?? 0) > 0) {
      this.faults.resets = (this.faults.resets ?? 0) - 1;
      request.socket.destroy();
      return;
    }
    if (busy !== undefined && busy.times > 0) {
      busy.times -= 1;
      const after = busy.retryAfter === undefined ? {} : { 'retry-after': busy.retryAfter };
      response.writeHead(busy.status, after).end();
      return;
    }
    if (refuses !== undefined) {
      const { status, code = '', message = '' } = refuses;
      response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
      return;
    }
    const url = new URL(request.url ?? '', this.endpoint);
    // What it was called before it was renamed.
    if (/^\/(?:api\/models\/)?old\/name\//.test(url.pathname)) {
      response.writeHead(307, { location: (request.url ?? '').replace('old/name', 'org/name') });
      response.end();
      return;
    }
    if (/^\/api\/models\/org\/name\/revision\/(main|[0-9a-f]{40})$/.test(url.pathname)) {
      const siblings = [...this.#files].map(([rfilename, content]) =>
        this.faults.etagOf === undefined
          ? listed(rfilename, content)
          : { rfilename, size: content.byteLength },
      );
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ sha: COMMIT, siblings }));
      return;
    }
    const file = new RegExp(`^/org/name/resolve/${COMMIT}/(.+)$`).exec(url.pathname)?.[1];
    const content = this.#files.get(decodeURIComponent(file ?? ''));
    if (content === undefined) {
      const code = url.pathname.startsWith('/api/models/org/name/')
        ? 'RevisionNotFound'
        : 'RepoNotFound';
      response.writeHead(404, { 'x-error-code': code }).end();
      return;
    }
    response.setHeader('x-repo-commit', COMMIT);
    if (content.byteLength <= LARGE_BYTES) {
      response.setHeader('etag', `"${(this.faults.etagOf ?? gitId)(content)}"`);
      sendRange(request, response, content);
      return;
    }
    response
      .writeHead(302, {
        location: `${addressOf(this.#storage)}/blob/${file}?Signature=secret`,
        'x-linked-etag': `"${sha256(content)}"`,
        'x-linked-size': content.byteLength,
      })
      .end();
  }

  #serveStorage(request: IncomingMessage, response: ServerResponse): void {
    this.#see('storage', request);
    const { pathname } = new URL(request.url ?? '', this.storage);
    const file = decodeURIComponent(pathname.replace('/blob/', ''));
    const { faults } = this;
    const isExpired = (faults.expired ?? 0) > 0;
    if (isExpired) faults.expired = (faults.expired ?? 0) - 1;
    if (isExpired || (faults.hasNoRanges === true && request.headers.range !== undefined)) {
      response.writeHead(isExpired ? 403 : 416).end();
      return;
    }
    const whole = this.#files.get(file) ?? Buffer.alloc(0);
    const content = faults.damages === true ? Buffer.from(whole) : whole;
    if (faults.damages === true) content[content.byteLength >> 1] = 255 - (content.at(0) ?? 0);
    const isLong = content.byteLength > (faults.cutAfterBytes ?? 0);
    const cut = isLong && (faults.cuts ?? 0) > 0 ? faults.cutAfterBytes : undefined;
    if (cut !== undefined) faults.cuts = (faults.cuts ?? 0) - 1;
    const { stopsAfterBytes = Number.POSITIVE_INFINITY } = faults;
    if (content.byteLength <= stopsAfterBytes) sendRange(request, response, content, cut);
    else {
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, stopsAfterBytes));
      this.#held.push(() => response.end(content.subarray(stopsAfterBytes)));
    }
  }
}

/** A file as the hub lists it: of one in Git LFS `blobId` is that of the pointer. */
function listed(rfilename: string, content: Buffer) {
  const size = content.byteLength;
  if (size <= LARGE_BYTES) return { rfilename, size, blobId: gitId(content) };
  const lfs = { sha256: sha256(content), size, pointerSize: 134 };
  return { rfilename, size, blobId: gitId(Buffer.from(lfs.sha256)), lfs };
}

function sendRange(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  cutAfterBytes?: number,
): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const total = content.byteLength;
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': total - from,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${total - 1}/${total}` } : {}),
  });
  if (request.method === 'HEAD') response.end();
  else if (cutAfterBytes === undefined) response.end(content.subarray(from));
  else {
    response.write(content.subarray(from, from + cutAfterBytes), () => response.destroy());
  }
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Digests that are known: a large file is asked for more than once. */
const digests = new WeakMap<Buffer, string>();

function sha256(content: Buffer): string {
  const known = digests.get(content);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(content).digest('hex');
  digests.set(content, digest);
  return digest;
}

function gitId(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.byteLength}\0`).update(content).digest('hex');
}
