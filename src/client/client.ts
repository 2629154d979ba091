/** A typed client of Plimsoll's own interface, for programs: `import { PlimsollClient } from 'plimsoll/client'`. */
import type { Answer, ClassifyRequest } from '../contract/classify.js';
import type {
  RerankAnswer,
  RerankRequest,
  TokenClassificationAnswer,
  TokenClassificationRequest,
  ZeroShotAnswer,
  ZeroShotRequest,
} from '../contract/doors/tasks.js';
import type { ErrorBody } from '../contract/errors.js';
import type { ModelDetail, Models, ModelView } from '../contract/models.js';
import type { Receipt } from '../contract/receipts.js';
import type { SessionView } from '../contract/sessions.js';
import type { MemoryView } from '../contract/state/memory.js';
import type { Tokenized } from '../contract/tokenize.js';

export interface ClientOptions {
  /** Such as `http://localhost:8000`, or `https://example.org/plimsoll` behind a proxy. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  /** Session and user of every request that names none, in any script. */
  readonly session?: string;
  readonly user?: string;
  /** The longest time that one request may take, ms; none by default, as the server has a deadline of its own. */
  readonly timeoutMs?: number;
  /** What sends the requests; `fetch` by default. */
  readonly send?: Send;
}

/** A reply as a transport hands it on: a parsed body, or the text where it is not JSON. */
export interface Received {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfter?: string | undefined;
}

/** Sends one request and waits for its whole reply. */
export type Send = (
  method: 'GET' | 'POST',
  address: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
) => Promise<Received>;

/** A refusal of the server, or of something before it. */
export class PlimsollClientError extends Error {
  override readonly name = 'PlimsollClientError';
  readonly status: number;
  /** One of the codes in docs/errors.md; undefined for a reply that is not Plimsoll's. */
  readonly code: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds to wait before that, if the server has said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor({ status, body, retryAfter }: Received) {
    const { code, message, retryable } = errorIn(body);
    const text = typeof body === 'string' ? `: ${body.slice(0, 200)}` : '';
    super(message ?? `the server answered with ${status}${text}`);
    this.status = status;
    this.code = code;
    this.retryable = retryable ?? false;
    this.retryAfterSeconds = retryAfter === undefined ? undefined : secondsUntil(retryAfter);
  }
}

/** `Retry-After` is a number of seconds, or of a proxy perhaps a date (RFC 9110, section 10.2.3). */
function secondsUntil(retryAfter: string): number | undefined {
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter);
  const atMs = Date.parse(retryAfter);
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - Date.now()) / 1000));
}

/** Every method throws PlimsollClientError for a refusal, and what `fetch` throws where there is no server. */
export class PlimsollClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Labels of texts, best first. */
  classify(request: ClassifyRequest): Promise<Answer> {
    return this.#send('POST', '/v1/classify', request);
  }

  /** Scores of labels that the model was not trained for, best first; for models of natural language inference. */
  zeroShot(request: ZeroShotRequest): Promise<ZeroShotAnswer> {
    return this.#send('POST', '/v1/zero-shot-classification', request);
  }

  /** Documents by how well they answer a query, the best first; for models with one output. */
  rerank(request: RerankRequest): Promise<RerankAnswer> {
    return this.#send('POST', '/v1/reranking', request);
  }

  /** The named entities of texts, with their places in code points; for models that label tokens. */
  tokens(request: TokenClassificationRequest): Promise<TokenClassificationAnswer> {
    return this.#send('POST', '/v1/token-classification', request);
  }

  /** What a model sees of texts. */
  tokenize(model: string, inputs: string | readonly string[]): Promise<Tokenized> {
    return this.#send('POST', '/v1/tokenize', { model, inputs });
  }

  openSession(maxUsers?: number): Promise<SessionView> {
    return this.#send(
      'POST',
      '/v1/sessions',
      maxUsers === undefined ? {} : { max_users: maxUsers },
    );
  }

  /** Settles after the cleanup, whose receipt the session then has. */
  endSession(id: string): Promise<SessionView> {
    return this.#send('POST', `/v1/sessions/${encodeURIComponent(id)}/end`);
  }

  async models(): Promise<readonly ModelView[]> {
    return (await this.#send<Models>('GET', '/v1/models')).models;
  }

  model(id: string): Promise<ModelDetail> {
    return this.#send('GET', `/v1/models/${pathOf(id)}`);
  }

  load(id: string): Promise<ModelView> {
    return this.#send('POST', `/v1/models/${pathOf(id)}/load`);
  }

  unload(id: string): Promise<ModelView> {
    return this.#send('POST', `/v1/models/${pathOf(id)}/unload`);
  }

  memory(): Promise<MemoryView> {
    return this.#send('GET', '/v1/memory');
  }

  /** Gives back memory that nobody needs. */
  cleanup(): Promise<Receipt> {
    return this.#send('POST', '/v1/memory/cleanup');
  }

  /** Replaces every worker. */
  recycle(): Promise<Receipt> {
    return this.#send('POST', '/v1/memory/recycle');
  }

  async #send<T>(method: 'GET' | 'POST', address: string, body?: unknown): Promise<T> {
    const send = this.#options.send ?? this.#fetch;
    const received = await send(method, address, body, this.#headers(body !== undefined));
    if (received.status >= 200 && received.status < 300) return received.body as T;
    throw new PlimsollClientError(received);
  }

  readonly #fetch: Send = async (method, address, body, headers) => {
    const { url, timeoutMs } = this.#options;
    const response = await fetch(urlOf(url, address), {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) }),
    });
    const retryAfter = response.headers.get('retry-after') ?? undefined;
    return { status: response.status, body: parsed(await response.text()), retryAfter };
  };

  #headers(hasBody: boolean): Readonly<Record<string, string>> {
    const { key, session, user } = this.#options;
    return {
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(session === undefined ? {} : { 'x-plimsoll-session': bytesOf(session) }),
      ...(user === undefined ? {} : { 'x-plimsoll-user': bytesOf(user) }),
    };
  }
}

/** Below the path of the server's URL: `new URL(address, url)` would put the address in its place. */
function urlOf(server: string, address: string): URL {
  const url = new URL(server);
  const [path = '', query] = address.split('?', 2);
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  url.search = query === undefined ? '' : `?${query}`;
  url.hash = '';
  return url;
}

/** Headers are bytes, which `fetch` takes as characters up to U+00FF: those of the text in UTF-8, as the server reads them. */
function bytesOf(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** Ids hold slashes, which stay. */
function pathOf(id: string): string {
  return id.split('/').map(encodeURIComponent).join('/');
}

/** A proxy may answer with something else than JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What a reply says of a refusal; who answered may be no Plimsoll. */
function errorIn(body: unknown): Partial<ErrorBody['error']> {
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  const { code, message, retryable } = error;
  return {
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
