import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { type ProxySettings, proxyOf } from './hub/proxy.js';

/** The public hub, as every program of its makers takes it by default. */
const DEFAULT_ENDPOINT = 'https://huggingface.co';
const MAX_TOKEN_BYTES = 4096;

/** Where models come from and where they are kept. */
export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache that `huggingface_hub` shares. */
  readonly cacheFolder: string;
  /** Sent to the hub alone; empty for none. */
  readonly token: string;
  /** Nothing is asked of the hub: what the cache has is used. */
  readonly isOffline: boolean;
  /** Undefined if none is named. */
  readonly proxy?: ProxySettings | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the environment says, by the conventions of `huggingface_hub` (its reference, "Environment
 * variables"): `HF_ENDPOINT`, `HF_TOKEN` (of old `HUGGING_FACE_HUB_TOKEN`) or the file `HF_TOKEN_PATH` or `$HF_HOME/token`, `HF_HUB_CACHE` or
 * `$HF_HOME/hub`, `HF_HOME` or `$XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface`, `HF_HUB_OFFLINE`; and the proxies that curl knows.
 *
 * @throws Error if `HF_ENDPOINT` is no http(s) address
 */
export async function hubSettings(environment: Environment): Promise<HubSettings> {
  const caches = environment.XDG_CACHE_HOME || path.join(homedir(), '.cache');
  const home = expandHome(environment.HF_HOME || path.join(caches, 'huggingface'));
  const cache = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return {
    endpoint: endpointOf(environment.HF_ENDPOINT || DEFAULT_ENDPOINT),
    cacheFolder: expandHome(cache || path.join(home, 'hub')),
    token:
      (environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN)?.trim() ||
      (await tokenFrom(environment, home)),
    isOffline: /^(1|on|yes|true)$/i.test(
      environment.HF_HUB_OFFLINE ?? environment.TRANSFORMERS_OFFLINE ?? '',
    ),
    proxy: proxyOf(environment),
  };
}

function endpointOf(written: string): string {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new Error(
      `HF_ENDPOINT is "${written.slice(0, 200)}"; it takes an http:// or https:// address`,
    );
  }
  return written.replace(/\/+$/, '');
}

async function tokenFrom(environment: Environment, home: string): Promise<string> {
  const file = expandHome(environment.HF_TOKEN_PATH || path.join(home, 'token'));
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.length > MAX_TOKEN_BYTES ? '' : text.trim();
}

function expandHome(folder: string): string {
  return folder === '~' || folder.startsWith('~/') ? path.join(homedir(), folder.slice(1)) : folder;
}
