import dns from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { InputError } from '../input-error.js';
import { isPrivateAddress } from './private-addresses.js';
import { BusyError } from './retries.js';

/** Without a byte that we wait for, from connecting on. */
const IDLE_MS = 30_000;
const CONNECTIONS = 8;
/** A page of a thousand names of a thousand characters each has about 4 MB. */
const MAX_REPLY_BYTES = 8 * 1024 * 1024;

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/**
 * Sends requests. Unless private addresses are allowed, it connects to public ones only: it is the address that is connected to that is
 * looked at, so a name that resolves to another one the second time gains nothing.
 */
export class HttpClient {
  readonly #allowPrivate: boolean;
  readonly #http = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #https = new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS });

  readonly #idleMs: number;

  constructor(allowPrivate: boolean, idleMs = IDLE_MS) {
    this.#allowPrivate = allowPrivate;
    this.#idleMs = idleMs;
  }

  /** @returns the reply as soon as its head is there; read its body, or destroy it */
  request({ method, url, headers, body }: HttpRequest, signal: AbortSignal) {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // An address needs no look-up.
    if (!this.#allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw refusal(host);
    const isSecure = url.protocol === 'https:';
    const options: https.RequestOptions = {
      method,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'plimsoll', ...headers },
      agent: isSecure ? this.#https : this.#http,
      timeout: this.#idleMs,
      signal,
      ...(this.#allowPrivate ? {} : { lookup: publicLookup }),
    };
    return new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = isSecure ? https.request(url, options) : http.request(url, options);
      const isLate = () => request.destroy(lateError(url.host, this.#idleMs));
      request.on('timeout', isLate);
      request.on('response', (reply) => {
        request.off('timeout', isLate);
        watch(reply, url.host, this.#idleMs);
        resolve(reply);
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** Ends a reply whose server stops sending. While what came waits for its reader, the server is not to blame. */
function watch(reply: http.IncomingMessage, host: string, idleMs: number): void {
  const { socket } = reply;
  const onTimeout = () => {
    if (reply.readableLength > 0) socket.setTimeout(idleMs);
    else reply.destroy(lateError(host, idleMs));
  };
  socket.on('timeout', onTimeout);
  reply.once('close', () => socket.off('timeout', onTimeout));
}

function lateError(host: string, idleMs: number): Error {
  return new BusyError(`${host} sent nothing for ${idleMs / 1000} s`);
}

/** A reply’s whole body, which is short; afterwards the connection is free again. */
export async function bodyOf(reply: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES) throw new Error('a reply is longer than it should be');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const publicLookup: LookupFunction = (host, options, callback) => {
  dns.lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const usable = addresses.filter(({ address }) => !isPrivateAddress(address));
    const [first] = usable;
    if (first === undefined) callback(refusal(host), []);
    else if (options.all === true) callback(null, usable);
    else callback(null, first.address, first.family);
  });
};

function refusal(host: string): InputError {
  return new InputError(
    `${host} is an address of a private network or of this machine, which jobs may not read; jobs.private_addresses allows it`,
  );
}
