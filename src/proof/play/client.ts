/** The proof's transport: it takes the time of each reply, over `node:http` with keep-alive. */
import http from 'node:http';
import https from 'node:https';
import {
  PlimsollClient,
  PlimsollClientError,
  type Received,
  type Send,
} from '../../client/client.js';

/** Far above any reply that the proof asks for; a longer one is an error. */
const MAX_REPLY_BYTES = 16 * 2 ** 20;

/** Outcome of one request. Failures are results to be reported, not exceptions. */
export type Reply =
  | { readonly ok: true; readonly body: unknown; readonly ms: number }
  | {
      readonly ok: false;
      /** HTTP status, or 0 when no reply came. */
      readonly status: number;
      /** The server's error code, `HTTP_nnn`, the system's (`ECONNREFUSED`), `TIMEOUT` or `ABORTED`. */
      readonly code: string;
      readonly message: string;
      readonly ms: number;
    };

export interface ClientOptions {
  readonly url: string;
  /** Time limit of one request, from the first byte sent to the last byte read. */
  readonly requestTimeoutMs: number;
  /** Maximum connections: one for each concurrent user and one for the readings. */
  readonly connections: number;
  /** Key to ask with; empty for none. */
  readonly key?: string | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** Talks to one server. `close()` closes its idle connections. */
export class ProofClient {
  readonly #base: URL;
  readonly #timeoutMs: number;
  readonly #server: { readonly url: string; readonly key?: string };
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #agent: http.Agent;
  readonly #transport: typeof http | typeof https;

  constructor(options: ClientOptions) {
    this.#base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`);
    this.#timeoutMs = options.requestTimeoutMs;
    const { key = '' } = options;
    this.#server = { url: options.url, ...(key === '' ? {} : { key }) };
    this.#authorization = key === '' ? {} : { authorization: `Bearer ${key}` };
    this.#transport = this.#base.protocol === 'https:' ? https : http;
    this.#agent = new this.#transport.Agent({
      keepAlive: true,
      maxSockets: options.connections,
      scheduling: 'lifo',
    });
  }

  /** What the published client has no method for. @param path such as `/metrics` */
  get(path: string, call: CallOptions = {}): Promise<Reply> {
    return this.#timed(call, async (signal) => {
      const received = await this.#exchange('GET', path, undefined, this.#authorization, signal);
      if (received.status >= 200 && received.status < 300) return received.body;
      throw new PlimsollClientError(received);
    });
  }

  /** Asks through the published client; of what it gives, nothing is taken on trust. */
  ask(of: (server: PlimsollClient) => Promise<unknown>, call: CallOptions = {}): Promise<Reply> {
    return this.#timed(call, (signal) => {
      const send: Send = (method, address, body, headers) =>
        this.#exchange(method, address, body, headers, signal);
      return of(new PlimsollClient({ ...this.#server, send }));
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  async #timed(
    call: CallOptions,
    exchange: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<Reply> {
    const started = performance.now();
    const timeout = AbortSignal.timeout(call.timeoutMs ?? this.#timeoutMs);
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
    try {
      const body = await exchange(signal);
      return { ok: true, body, ms: performance.now() - started };
    } catch (error) {
      const ms = performance.now() - started;
      if (call.signal?.aborted === true) {
        return { ok: false, status: 0, code: 'ABORTED', message: 'stopped by the caller', ms };
      }
      if (timeout.aborted) {
        const message = `no full reply within ${call.timeoutMs ?? this.#timeoutMs} ms`;
        return { ok: false, status: 0, code: 'TIMEOUT', message, ms };
      }
      return { ok: false, ...describe(error), ms };
    }
  }

  #exchange(
    method: string,
    path: string,
    body: unknown,
    named: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Received> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) };
    const headers = { accept: 'application/json, text/plain', ...named, ...length };
    return new Promise((resolve, reject) => {
      const url = new URL(path.replace(/^\//, ''), this.#base);
      const request = this.#transport.request(
        url,
        { method, headers, agent: this.#agent, signal },
        (response) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > MAX_REPLY_BYTES) {
              response.destroy(new Error(`the reply is longer than ${MAX_REPLY_BYTES} bytes`));
            } else {
              chunks.push(chunk);
            }
          });
          response.on('error', reject);
          response.on('end', () => {
            const read = Buffer.concat(chunks).toString('utf8');
            resolve({ status: response.statusCode ?? 0, body: parsed(read) });
          });
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }
}

/** Not all of it is JSON: `/metrics` is text, a proxy's error page may be anything. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The server's refusal, or the failure of the connection. */
function describe(error: unknown): { status: number; code: string; message: string } {
  if (error instanceof PlimsollClientError) {
    const { status, code = `HTTP_${status}` } = error;
    return { status, code, message: error.code === undefined ? code : error.message };
  }
  if (!(error instanceof Error)) return { status: 0, code: 'UNKNOWN', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'CONNECTION';
  return { status: 0, code, message: error.message === '' ? code : error.message };
}
