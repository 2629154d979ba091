import { createHash } from 'node:crypto';
import { type Checksum, checksumOf } from './hub/checksum.js';
import { refusalOf } from './hub/refusal.js';
import { HubRequests, redirectOf } from './hub/requests.js';
import { type Wait, wait as waitForReal } from './hub/waits.js';
import { HubError } from './hub-error.js';
import type { HubId } from './hub-id.js';
import type { HubSettings } from './hub-settings.js';

/** A file of a model, as the hub lists it. */
export interface HubFile {
  /** Below the model's folder, with `/`. */
  readonly path: string;
  /** Undefined where the hub does not tell it. */
  readonly sizeBytes: number | undefined;
  /** Undefined where the hub does not tell it. */
  readonly checksum: Checksum | undefined;
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
  /** Name of the file's content in the cache: the hub's ETag, where that can be the name of a file. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum: Checksum | undefined;
  /** Where its content is; another host than the hub's for large files. */
  readonly location: string;
}

/** A list of files larger than this is no list of a model's files. */
const MAX_LIST_BYTES = 16 * 2 ** 20;
const MAX_REDIRECTS = 5;
const COMMIT = /^[0-9a-f]{40}$/;
const MAX_PATH_CHARACTERS = 1000;
/** What no file of a model is called: it ends lines of logs, or is a separator on another system. */
const ODD_CHARACTERS = /[\p{Cc}\u2028\u2029\\]/u;

/** Asks a hub, by the addresses and headers that `huggingface_hub` uses. */
export class HubClient {
  readonly #endpoint: string;
  readonly #requests: HubRequests;

  /** @param wait how it waits before it asks again */
  constructor(settings: HubSettings, wait: Wait = waitForReal) {
    this.#endpoint = settings.endpoint;
    this.#requests = new HubRequests(settings, wait);
  }

  /** The files of a revision, and the commit that it stands for. @throws HubError; the signal's reason */
  async revision({ id, revision }: HubId, signal: AbortSignal): Promise<HubRevision> {
    const asked = `${this.#endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
    let address = `${asked}?blobs=true`;
    // A model that was renamed is found under its new name.
    for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
      const reply = await this.#requests.ask(address, 'GET', `${id}@${revision}`, signal);
      const target = redirectOf(reply, address);
      if (target === undefined) return { id, ...(await listingOf(reply, asked)) };
      await reply.body?.cancel();
      address = target;
    }
    throw tooManyRedirects(asked);
  }

  /**
   * A hub tells what a file is in the answer that redirects to where its content is (`X-Linked-…`). Other redirects, of
   * a model that was renamed or of a mirror, are followed first.
   *
   * @throws HubError; the signal's reason
   */
  async head(id: string, commit: string, file: HubFile, signal: AbortSignal): Promise<HubFileHead> {
    const parts = file.path.split('/').map(encodeURIComponent).join('/');
    const asked = `${this.#endpoint}/${id}/resolve/${commit}/${parts}`;
    const what = `${id}@${commit.slice(0, 12)}: ${file.path}`;
    let address = asked;
    let linked: string | undefined;
    for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
      const found = await this.#head(address, what, signal).catch((error: unknown) => {
        // A signed address may answer to GET alone; the list has told of the file already.
        if (signal.aborted || hop === 0 || !isKnown(file)) throw error;
        const { sizeBytes, checksum } = file;
        return { known: { etag: checksum.hex, sizeBytes, checksum, location: address } };
      });
      if ('known' in found) return found.known;
      const { headers, target } = found;
      linked ??= etagIn(headers.get('x-linked-etag'));
      const checksum = checksumOf('sha256', linked) ?? file.checksum;
      const written = linked ?? etagIn(headers.get('etag')) ?? checksum?.hex;
      const size = headers.get('x-linked-size') ?? headers.get('content-length');
      // The length of a redirect says nothing of the file.
      const isTold = target === undefined || headers.has('x-linked-size');
      const sizeBytes = isTold && size !== null ? Number(size) : file.sizeBytes;
      if (target !== undefined && (linked === undefined || sizeBytes === undefined)) {
        address = target;
        continue;
      }
      if (written === undefined || sizeBytes === undefined || !isSize(sizeBytes)) break;
      const etag = blobNameOf(written);
      return { etag, sizeBytes, checksum, location: target ?? address };
    }
    throw new HubError('answer', `${asked} tells neither size nor ETag of the file`);
  }

  async #head(address: string, what: string, signal: AbortSignal) {
    const reply = await this.#requests.ask(address, 'HEAD', what, signal);
    return { headers: reply.headers, target: redirectOf(reply, address) };
  }

  /**
   * The content of a file from a byte on.
   *
   * @param what the file, for messages: addresses may hold signatures, which nobody must see
   * @throws HubError; its `kind` is `network` if the same address may answer later
   */
  async content(
    location: string,
    fromByte: number,
    what: string,
    signal: AbortSignal,
  ): Promise<Response> {
    let address = location;
    for (let hop = 0; hop < MAX_REDIRECTS; hop += 1) {
      const range = fromByte > 0 ? { range: `bytes=${fromByte}-` } : {};
      const reply = await this.#requests.send(address, 'GET', range, signal);
      const target = redirectOf(reply, address);
      if (target === undefined) {
        if (reply.ok) return reply;
        await reply.body?.cancel();
        throw refusalOf(reply, `${what} (from ${new URL(address).host})`);
      }
      await reply.body?.cancel();
      address = target;
    }
    throw tooManyRedirects(what);
  }
}

function tooManyRedirects(what: string): HubError {
  return new HubError('answer', `${what} redirects more than ${MAX_REDIRECTS} times`);
}

async function listingOf(
  reply: Response,
  address: string,
): Promise<Pick<HubRevision, 'commit' | 'files'>> {
  const body = await boundedJson(reply);
  const { sha, siblings } = (body ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !COMMIT.test(sha) || !Array.isArray(siblings)) {
    throw new HubError('answer', `${address} answers something else than a model's files`);
  }
  return { commit: sha, files: siblings.flatMap(fileOf) };
}

function fileOf(sibling: unknown): readonly HubFile[] {
  const { rfilename, size, blobId, lfs } = (sibling ?? {}) as {
    readonly rfilename?: unknown;
    readonly size?: unknown;
    readonly blobId?: unknown;
    readonly lfs?: { readonly size?: unknown; readonly sha256?: unknown; readonly oid?: unknown };
  };
  // A name that would lead out of the model's folder is none of ours to follow.
  if (typeof rfilename !== 'string' || !isPathBelow(rfilename)) return [];
  const told = typeof size === 'number' ? size : lfs?.size;
  // Of a file in Git LFS the blob's id is that of the pointer to it.
  const checksum =
    lfs === undefined || lfs === null
      ? checksumOf('git', blobId)
      : (checksumOf('sha256', lfs.sha256) ?? checksumOf('sha256', lfs.oid));
  return [{ path: rfilename, sizeBytes: isSize(told) ? told : undefined, checksum }];
}

/** Whether it is the name of a file below a folder: no part of it leads out. */
function isPathBelow(name: string): boolean {
  if (name.length > MAX_PATH_CHARACTERS || ODD_CHARACTERS.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function isKnown(file: HubFile): file is Required<HubFile> & {
  readonly sizeBytes: number;
  readonly checksum: Checksum;
} {
  return file.sizeBytes !== undefined && file.checksum !== undefined;
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** `W/"abc"` → `abc`; undefined for none. */
function etagIn(header: string | null): string | undefined {
  const etag = header?.replace(/^W\//, '').replaceAll('"', '').trim();
  return etag === '' ? undefined : etag;
}

/** Most ETags name their content in the cache as they are, as `huggingface_hub` has it; one that no file can be called does so by its digest. */
function blobNameOf(etag: string): string {
  const isName = /^[A-Za-z0-9_][A-Za-z0-9_.=+,~-]{0,199}$/.test(etag);
  if (isName && !/\.(?:incomplete|lock)$/.test(etag)) return etag;
  return `etag-${createHash('sha256').update(etag).digest('hex')}`;
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
