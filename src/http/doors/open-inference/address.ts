/** Addresses below `/v2/models/`. Pure. */
import { VERSION } from './tensors/reply.js';

/** What is asked of a model. */
export type ModelAction = 'metadata' | 'ready' | 'infer' | 'config' | 'stats';

export interface ModelAddress {
  readonly model: string;
  /** Undefined: whichever there is. */
  readonly version: string | undefined;
  readonly action: ModelAction;
}

const ACTIONS: ReadonlySet<string> = new Set(['ready', 'infer', 'config', 'stats']);

/**
 * Takes the address of a model apart: its id, `/versions/1` or not, and what is asked of it. Ids hold slashes.
 *
 * 1. An id that is percent-encoded is one part of the address; what follows it is not part of the id.
 * 2. Else the last part is what is asked, if it is a known word and not all there is, and `versions` with the part behind
 *    it the version.
 * 3. All before these is the id.
 *
 * @param url as it was sent.
 * @param below what comes before the id, for example `/v2/models/`.
 * @returns undefined if it is no address of a model.
 */
export function modelAddress(url: string, below: string): ModelAddress | undefined {
  const [path = ''] = url.split('?', 1);
  if (!path.startsWith(below)) return undefined;
  const parts = path.slice(below.length).split('/');
  const least = /%2f/i.test(parts[0] ?? '') ? 1 : undefined; // 1
  const word = parts.length > 1 ? parts.at(-1) : undefined; // 2
  const action = isAction(word) ? word : 'metadata';
  if (action !== 'metadata') parts.pop();
  const isVersioned = parts.length > 2 && parts.at(-2) === 'versions';
  const version = isVersioned ? parts.pop() : undefined;
  if (isVersioned) parts.pop();
  if (least !== undefined && parts.length > least) return undefined;
  const model = decoded(parts.join('/')); // 3
  return model === undefined || model === '' ? undefined : { model, version, action };
}

export interface RepositoryAddress {
  readonly model: string;
  readonly action: 'load' | 'unload';
}

/** The address of a load or an unload; undefined if it is none. @param url as it was sent. */
export function repositoryAddress(url: string): RepositoryAddress | undefined {
  const [, id = '', action] =
    /^\/v2\/repository\/models\/([^?]+)\/(load|unload)(?:\?.*)?$/.exec(url) ?? [];
  const model = decoded(id);
  if (model === undefined || (action !== 'load' && action !== 'unload')) return undefined;
  return { model, action };
}

/** Whether a model has that version: it has one. */
export function hasVersion({ version }: ModelAddress): boolean {
  return version === undefined || version === '' || version === VERSION;
}

function isAction(word: string | undefined): word is ModelAction {
  return word !== undefined && ACTIONS.has(word);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
