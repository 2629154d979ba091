import { HubError } from './hub-error.js';
import type { HubId } from './hub-id.js';
import type { HubSettings } from './hub-settings.js';

/** A file of a model, as the hub lists it. */
export interface HubFile {
  /** Below the model's folder, with `/`. */
  readonly path: string;
  /** Undefined where the hub does not tell it. */
  readonly sizeBytes: number | undefined;
}

/** One revision of a model. */
export interface HubRevision {
  readonly id: string;
  /** The commit: 40 hex digits. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** What the hub says of one file before it is fetched. */
export interface HubFileHead {
  /** Name of the file's content in the cache: its SHA-256 for large files, its git id for others. */
  readonly etag: string;
  readonly sizeBytes: number;
  /** Where its content is; another host than the hub's for large files. */
  readonly location: string;
}

/** Longest wait for the head of an answer, ms. */
const HEAD_TIMEOUT_MS = 30_000;
/** A list of files larger than this is no list of a model's files. */
const MAX_LIST_BYTES = 16 * 2 ** 20;
const MAX_REDIRECTS = 5;
const COMMIT = /^[0-9a-f]{40}$/;
/** A name of a file below a folder: no part of it leads out. */
const SAFE_PATH = /^(?!\/)(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^\0\\]{1,1000}$/;

/** Asks a hub, by the addresses and headers that `huggingface_hub` uses. */
export class HubClient {
  readonly #settings: HubSettings;

  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  /** The files of a revision, and the commit that it stands for. @throws HubError */
  async revision({ id, revision }: HubId): Promise<HubRevision> {
    const address = `${this.#settings.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
    const reply = await this.#ask(`${address}?blobs=true`, 'GET', `${id}@${revision}`);
    const body = await boundedJson(reply);
    const { sha, siblings } = (body ?? {}) as { sha?: unknown; siblings?: unknown };
    if (typeof sha !== 'string' || !COMMIT.test(sha) || !Array.isArray(siblings)) {
      throw new HubError('answer', `${address} answers something else than a model's files`);
    }
    return { id, commit: sha, files: siblings.flatMap(fileOf) };
  }

  /** @throws HubError */
  async head(id: string, commit: string, file: string): Promise<HubFileHead> {
    const parts = file.split('/').map(encodeURIComponent).join('/');
    let address = `${this.#settings.endpoint}/${id}/resolve/${commit}/${parts}`;
    // A hub tells what a file is in the answer that redirects to another host; a redirect within itself (a model that
    // was renamed) is followed first.
    for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
      const reply = await this.#ask(address, 'HEAD', `${id}@${commit.slice(0, 12)}: ${file}`);
      const { headers } = reply;
      const target = headers.get('location');
      const location = target === null ? address : new URL(target, address).href;
      const etag = etagOf(headers.get('x-linked-etag') ?? headers.get('etag'));
      const sizeBytes = Number(
        headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN,
      );
      const isElsewhere = new URL(location).origin !== new URL(this.#settings.endpoint).origin;
      if (target !== null && !isElsewhere && headers.get('x-linked-etag') === null) {
        address = location;
        continue;
      }
      if (etag === undefined || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
        throw new HubError('answer', `${address} tells neither size nor ETag of the file`);
      }
      return { etag, sizeBytes, location };
    }
    throw new HubError('answer', `${address} redirects more than ${MAX_REDIRECTS} times`);
  }

  /**
   * The content of a file from a byte on. The token goes to the hub's own host alone, whatever it
   * redirects to.
   *
   * @throws HubError
   */
  async content(location: string, fromByte: number, signal: AbortSignal): Promise<Response> {
    let address = location;
    for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
      const range = fromByte > 0 ? { range: `bytes=${fromByte}-` } : {};
      const reply = await this.#send(address, 'GET', range, signal);
      const target = reply.headers.get('location');
      if (reply.status < 300 || reply.status >= 400 || target === null) {
        if (!reply.ok) throw refusalOf(reply, address);
        return reply;
      }
      await reply.body?.cancel();
      address = new URL(target, address).href;
    }
    throw new HubError('answer', `${location} redirects more than ${MAX_REDIRECTS} times`);
  }

  async #ask(address: string, method: 'GET' | 'HEAD', what: string): Promise<Response> {
    const reply = await this.#send(address, method, {}, AbortSignal.timeout(HEAD_TIMEOUT_MS));
    if (reply.status < 400) return reply;
    await reply.body?.cancel();
    throw refusalOf(reply, what);
  }

  async #send(
    address: string,
    method: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { endpoint, token } = this.#settings;
    const isHub = new URL(address).origin === new URL(endpoint).origin;
    const authorization = isHub && token !== '' ? { authorization: `Bearer ${token}` } : {};
    try {
      return await fetch(address, {
        ...{ method, signal, redirect: 'manual' },
        // Bytes as they are: a range of a compressed answer would be another one.
        headers: { ...headers, ...authorization, 'accept-encoding': 'identity' },
      });
    } catch (error) {
      const { host } = new URL(address);
      throw new HubError('network', `${host} cannot be reached: ${reasonOf(error)}`, error);
    }
  }
}

/** What an answer of 4xx or 5xx means, by the hub's own header where it has one. */
function refusalOf(reply: Response, what: string): HubError {
  const code = reply.headers.get('x-error-code') ?? '';
  const { status } = reply;
  if (code === 'GatedRepo') {
    return new HubError(
      'gated',
      `${what} is gated: accept its terms on its page, then give a token of that account in HF_TOKEN`,
    );
  }
  if (code === 'RevisionNotFound') {
    return new HubError('revision', `${what}: the model has no such branch, tag or commit`);
  }
  if (code === 'EntryNotFound') return new HubError('entry', `${what}: there is no such file`);
  if (code === 'RepoNotFound' || status === 404 || status === 401) {
    return new HubError(
      'missing',
      `${what}: the hub has no such model, or it is private: then give a token that may read it in HF_TOKEN`,
    );
  }
  if (status === 403)
    return new HubError('token', `${what}: this token may not read it (HF_TOKEN)`);
  if (status === 429 || status >= 500) {
    return new HubError('network', `${what}: the hub answers ${status}; try again later`);
  }
  return new HubError('answer', `${what}: the hub answers ${status}`);
}

function fileOf(sibling: unknown): readonly HubFile[] {
  const { rfilename, size, lfs } = (sibling ?? {}) as {
    readonly rfilename?: unknown;
    readonly size?: unknown;
    readonly lfs?: { readonly size?: unknown } | null;
  };
  // A name that would lead out of the model's folder is none of ours to follow.
  if (typeof rfilename !== 'string' || !SAFE_PATH.test(rfilename)) return [];
  const told = typeof size === 'number' ? size : lfs?.size;
  return [{ path: rfilename, sizeBytes: typeof told === 'number' ? told : undefined }];
}

/** `W/"abc"` → `abc`; undefined for what can be no name of a file. */
function etagOf(header: string | null): string | undefined {
  const etag = header?.replace(/^W\//, '').replaceAll('"', '');
  return etag !== undefined && /^[A-Za-z0-9_-]{1,200}$/.test(etag) ? etag : undefined;
}

async function boundedJson(reply: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of reply.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MAX_LIST_BYTES) throw new HubError('answer', 'the hub lists too many files');
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
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
