import { systemCodeOf } from '../../../errors.js';
import { HubError } from '../hub-error.js';
import type { HubSettings } from '../hub-settings.js';
import { ProxiedRequests } from './proxy.js';
import { refusalOf } from './refusal.js';
import { retryWaitMs, type Wait } from './waits.js';

/** Longest wait for the head of an answer, ms. */
const HEAD_TIMEOUT_MS = 30_000;
/** Attempts of one question that fail in passing before it is given up. */
const MAX_ATTEMPTS = 5;
/** What a connection that broke is told by; a host that is not there is not asked again. */
const BROKEN = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/;

/** Where an answer leads; undefined if it is no redirect. */
export function redirectOf(reply: Response, address: string): string | undefined {
  const target = reply.headers.get('location');
  const isRedirect = [301, 302, 303, 307, 308].includes(reply.status);
  return isRedirect && target !== null && URL.canParse(target, address)
    ? new URL(target, address).href
    : undefined;
}

/** Sends requests to a hub and to where it redirects to. The token goes to the hub's own host alone. */
export class HubRequests {
  readonly #settings: HubSettings;
  readonly #wait: Wait;
  readonly #proxied: ProxiedRequests | undefined;

  constructor(settings: HubSettings, wait: Wait) {
    this.#settings = settings;
    this.#proxied = settings.proxy === undefined ? undefined : new ProxiedRequests(settings.proxy);
    this.#wait = wait;
  }

  /**
   * Asks until there is an answer below 400. Redirects are not followed. What fails in passing (429, 5xx, a connection
   * that breaks) is asked again, after the pause that the hub asks for.
   *
   * @param what the question, for messages
   * @throws HubError; the signal's reason
   */
  async ask(
    address: string,
    method: 'GET' | 'HEAD',
    what: string,
    signal: AbortSignal,
  ): Promise<Response> {
    for (let failures = 1; ; failures += 1) {
      try {
        const within = AbortSignal.any([signal, AbortSignal.timeout(HEAD_TIMEOUT_MS)]);
        const reply = await this.send(address, method, {}, within);
        if (reply.status < 400) return reply;
        await reply.body?.cancel();
        throw refusalOf(reply, what);
      } catch (error) {
        signal.throwIfAborted();
        const waitMs = retryWaitMs(error, failures);
        const isAgain = isWorthAsking(error) && failures < MAX_ATTEMPTS && waitMs !== undefined;
        if (!isAgain) throw error;
        await this.#wait(waitMs, signal);
      }
    }
  }

  /** One request, answered with whatever comes. @throws HubError `network` */
  async send(
    address: string,
    method: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { endpoint, token } = this.#settings;
    const isHub = new URL(address).origin === new URL(endpoint).origin;
    const authorization = isHub && token !== '' ? { authorization: `Bearer ${token}` } : {};
    const options = {
      ...{ method, signal, redirect: 'manual' as const },
      // Bytes as they are: a range of a compressed answer would be another one.
      headers: { ...headers, ...authorization, 'accept-encoding': 'identity' },
    };
    try {
      return await (this.#proxied?.fetch(address, options) ?? fetch(address, options));
    } catch (error) {
      const { host } = new URL(address);
      const way = this.#proxied?.wayTo(address) ?? '';
      const reason = `${host} cannot be reached: ${reasonOf(error)}${way}`;
      throw new HubError('network', reason, error);
    }
  }
}

/** Whether the hub answered that it is busy, or the connection broke on the way. */
function isWorthAsking(error: unknown): boolean {
  if (!(error instanceof HubError) || !error.isPassing) return false;
  if (error.cause === undefined) return true;
  const { cause } = error.cause instanceof Error ? error.cause : {};
  return BROKEN.test(systemCodeOf(cause) ?? '');
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${HEAD_TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  return cause instanceof Error
    ? cause.message || ('code' in cause ? String(cause.code) : cause.name)
    : error.message;
}
