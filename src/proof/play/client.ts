/** The proof's HTTP client: JSON and text over `node:http`, with keep-alive. */
import http from 'node:http';
import https from 'node:https';
import { parseErrorCode } from '../replies.js';

/** Far above any reply that the proof asks for; a longer one is an error. */
const MAX_REPLY_BYTES = 16 * 2 ** 20;

/** Outcome of one request. Failures are results to be reported, not exceptions. */
export type Reply =
  | { readonly ok: true; readonly status: number; readonly body: unknown; readonly ms: number }
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

interface RawReply {
  readonly status: number;
  readonly text: string;
}

/** Talks to one server. `close()` closes its idle connections. */
export class ProofClient {
  readonly #base: URL;
  readonly #timeoutMs: number;
  readonly #authorization: http.OutgoingHttpHeaders;
  readonly #agent: http.Agent;
  readonly #transport: typeof http | typeof https;

  constructor(options: ClientOptions) {
    this.#base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`);
    this.#timeoutMs = options.requestTimeoutMs;
    const { key = '' } = options;
    this.#authorization = key === '' ? {} : { authorization: `Bearer ${key}` };
    this.#transport = this.#base.protocol === 'https:' ? https : http;
    this.#agent = new this.#transport.Agent({
      keepAlive: true,
      maxSockets: options.connections,
      scheduling: 'lifo',
    });
  }

  get(path: string, call: CallOptions = {}): Promise<Reply> {
    return this.#send('GET', path, null, call);
  }

  post(path: string, body: unknown, call: CallOptions = {}): Promise<Reply> {
    return this.#send('POST', path, JSON.stringify(body), call);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(
    method: string,
    path: string,
    body: string | null,
    call: CallOptions,
  ): Promise<Reply> {
    const started = performance.now();
    const timeout = AbortSignal.timeout(call.timeoutMs ?? this.#timeoutMs);
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
    try {
      const raw = await this.#exchange(method, path, body, signal);
      return readReply(raw, performance.now() - started);
    } catch (error) {
      const ms = performance.now() - started;
      if (call.signal?.aborted === true) {
        return { ok: false, status: 0, code: 'ABORTED', message: 'stopped by the caller', ms };
      }
      if (timeout.aborted) {
        const message = `no full reply within ${call.timeoutMs ?? this.#timeoutMs} ms`;
        return { ok: false, status: 0, code: 'TIMEOUT', message, ms };
      }
      return { ok: false, status: 0, ...describe(error), ms };
    }
  }

  #exchange(
    method: string,
    path: string,
    body: string | null,
    signal: AbortSignal,
  ): Promise<RawReply> {
    const headers: http.OutgoingHttpHeaders = {
      accept: 'application/json, text/plain',
      ...this.#authorization,
    };
    if (body !== null) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(body);
    }
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
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({ status: response.statusCode ?? 0, text });
          });
        },
      );
      request.on('error', reject);
      request.end(body ?? undefined);
    });
  }
}

function readReply(raw: RawReply, ms: number): Reply {
  let body: unknown = raw.text;
  try {
    body = JSON.parse(raw.text);
  } catch {
    // Not JSON: `/metrics` is text, a proxy's error page may be anything.
  }
  if (raw.status >= 200 && raw.status < 300) return { ok: true, status: raw.status, body, ms };
  const error = parseErrorCode(body);
  const code = error?.code ?? `HTTP_${raw.status}`;
  return { ok: false, status: raw.status, code, message: error?.message ?? code, ms };
}

function describe(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'CONNECTION';
  return { code, message: error.message === '' ? code : error.message };
}
