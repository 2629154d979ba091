/** JSON over kept-alive connections to the server under test. */
import http from 'node:http';

/** A reply, or what kept it from coming: `status` 0 and the system's error code. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfter: string | undefined;
  /** When it was sent, in ms since 1970: receipts have the same clock. */
  readonly sentAtMs: number;
  /** From sending to the last byte of the reply. */
  readonly ms: number;
}

const TIMEOUT_MS = 120_000;

export class HttpClient {
  readonly #url: string;
  readonly #agent: http.Agent;

  constructor(url: string, maxSockets = 128) {
    this.#url = url;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets, scheduling: 'lifo' });
  }

  /** Never rejects: what fails is a reply with status 0. */
  send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Reply> {
    const sentAtMs = Date.now();
    const begun = performance.now();
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': payload.byteLength };
    return new Promise((resolve) => {
      const end = (status: number, found: unknown, retryAfter?: string) =>
        resolve({ status, body: found, retryAfter, sentAtMs, ms: performance.now() - begun });
      const request = http.request(
        `${this.#url}${path}`,
        { method, headers, agent: this.#agent, timeout: TIMEOUT_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', (error) => end(0, error.message));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            end(response.statusCode ?? 0, parsed(text), response.headers['retry-after']);
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error('timeout')));
      request.on('error', (error) => end(0, error.message));
      request.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
