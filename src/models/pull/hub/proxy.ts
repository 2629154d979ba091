/** The way to a hub through a proxy, as the variables of the environment name it. */
import type { EnvHttpProxyAgent } from 'undici';

/** Proxies as they are written, by what they carry; empty where there is none. */
export interface ProxySettings {
  readonly http: string;
  readonly https: string;
  /** Hosts that are reached without a proxy. */
  readonly except: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; of two spellings the one in small letters counts, as for curl. An
 * https address without a proxy of its own takes that for http.
 *
 * @returns undefined if no proxy is named
 */
export function proxyOf(environment: Environment): ProxySettings | undefined {
  const [http = '', https = '', all = '', except = ''] = [
    ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'],
  ].map((name) => environment[name] || environment[name.toUpperCase()] || '');
  const found = { http: http || all, https: https || all || http, except };
  return found.https === '' ? undefined : found;
}

const SCHEMES: ReadonlySet<string> = new Set(['http:', 'https:', 'socks:', 'socks5:']);

/** @throws Error if it is no address of a proxy; without the address, which may hold a password */
function addressOf(written: string): string {
  if (written === '') return '';
  // "proxy:3128" is common.
  const address = /^[a-z\d]+:\/\//i.test(written) ? written : `http://${written}`;
  if (URL.canParse(address) && SCHEMES.has(new URL(address).protocol)) return address;
  throw new Error(
    'a variable names a proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) that is none; it takes http://, https:// or socks5:// and a host',
  );
}

/** Requests through a proxy. Its library is loaded with the first of them. */
export class ProxiedRequests {
  readonly #settings: ProxySettings;
  #agent: EnvHttpProxyAgent | undefined;

  constructor(settings: ProxySettings) {
    this.#settings = settings;
  }

  /** For messages: the proxy of an address; empty if it has none. */
  wayTo(address: string): string {
    const { http, https } = this.#settings;
    const proxy = new URL(address).protocol === 'https:' ? https : http;
    const [, host = ''] = /^(?:[a-z\d]+:\/\/)?(?:[^/@]*@)?([^/]*)/i.exec(proxy) ?? [];
    if (host === '') return '';
    return `; the environment names the proxy ${host.slice(0, 100)} (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY; hosts in NO_PROXY go without)`;
  }

  /**
   * As the global `fetch`.
   *
   * @throws Error if a proxy's address is none; what `fetch` throws
   */
  async fetch(
    address: string,
    options: {
      readonly method: string;
      readonly signal: AbortSignal;
      readonly redirect: 'manual';
      readonly headers: Record<string, string>;
    },
  ): Promise<Response> {
    const { EnvHttpProxyAgent, fetch } = await import('undici');
    const { http, https, except } = this.#settings;
    this.#agent ??= new EnvHttpProxyAgent({
      ...{ httpProxy: addressOf(http), httpsProxy: addressOf(https), noProxy: except },
      // Many proxies allow CONNECT to port 443 alone.
      proxyTunnel: false,
    });
    return fetch(address, { ...options, dispatcher: this.#agent });
  }
}
