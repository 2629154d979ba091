/** A model on a hub. */
export interface HubId {
  /** `org/name`, or `name` for the oldest models. */
  readonly id: string;
  /** A branch, a tag or a commit; `main` by default. */
  readonly revision: string;
}

/** A part of a hub's id, by the hub's own rules: no `--` and no `..`, which its cache's folder names need. */
const PART = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;
/** Branches and tags may have slashes (`refs/pr/1`), but lead nowhere else. */
const REVISION = /^(?!.*\.\.)(?!\/)[A-Za-z0-9._/-]{1,200}$/;

/**
 * Reads `org/name[@revision]`.
 *
 * @throws Error that says how an id is written
 */
export function parseHubId(written: string): HubId {
  const at = written.indexOf('@');
  const id = at < 0 ? written : written.slice(0, at);
  const revision = at < 0 ? 'main' : written.slice(at + 1);
  const parts = id.split('/');
  if (parts.length > 2 || !parts.every((part) => PART.test(part)) || !REVISION.test(revision)) {
    const shown = written.slice(0, 200);
    throw new Error(`"${shown}" is no model of a hub: write it as org/name or org/name@revision`);
  }
  return { id, revision };
}

/** The folder of a model in the hub's cache: `models--org--name`. */
export function cacheFolderName(id: string): string {
  return ['models', ...id.split('/')].join('--');
}
