/** A typed client of Plimsoll's own interface, for programs: `import { PlimsollClient } from 'plimsoll/client'`. */
import type { Answer, ClassifyRequest } from '../contract/classify.js';
import type { ErrorBody } from '../contract/errors.js';
import type { MemoryView } from '../contract/memory.js';
import type { ModelDetail, Models, ModelView } from '../contract/models.js';
import type { Receipt } from '../contract/receipts.js';
import type { SessionView } from '../contract/sessions.js';
import type { Tokenized } from '../contract/tokenize.js';

export interface ClientOptions {
  /** Such as `http://localhost:8000`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key?: string;
  /** Session and user of every request that names none. */
  readonly session?: string;
  readonly user?: string;
  /** The longest time that one request may take, ms; none by default, as the server has a deadline of its own. */
  readonly timeoutMs?: number;
}

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

  constructor(status: number, body: Partial<ErrorBody> | undefined, retryAfter: string | null) {
    const { code, message, retryable } = body?.error ?? {};
    super(message ?? `the server answered with ${status}`);
    this.status = status;
    this.code = code;
    this.retryable = retryable ?? false;
    this.retryAfterSeconds = retryAfter === null ? undefined : Number(retryAfter);
  }
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

  async #send<T>(method: string, address: string, body?: unknown): Promise<T> {
    const { url, timeoutMs } = this.#options;
    const response = await fetch(new URL(address, url), {
      method,
      headers: this.#headers(body !== undefined),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) }),
    });
    if (response.ok) return (await response.json()) as T;
    const text = await response.text();
    throw new PlimsollClientError(
      response.status,
      errorIn(text),
      response.headers.get('retry-after'),
    );
  }

  #headers(hasBody: boolean): Readonly<Record<string, string>> {
    const { key, session, user } = this.#options;
    return {
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(session === undefined ? {} : { 'x-plimsoll-session': session }),
      ...(user === undefined ? {} : { 'x-plimsoll-user': user }),
    };
  }
}

/** Ids hold slashes, which stay. */
function pathOf(id: string): string {
  return id.split('/').map(encodeURIComponent).join('/');
}

/** The body of an error; a proxy may answer with something else than JSON. */
function errorIn(text: string): Partial<ErrorBody> | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const isOurs = typeof body === 'object' && body !== null && 'error' in body;
    return isOurs && typeof body.error === 'object' ? (body as Partial<ErrorBody>) : undefined;
  } catch {
    return undefined;
  }
}
