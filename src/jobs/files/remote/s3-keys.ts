/** The keys that requests to S3 are signed with, and where they come from. */
import { readFile } from 'node:fs/promises';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { InputError } from '../input-error.js';
import { BusyError, isBusy } from './retries.js';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Milliseconds since 1970; undefined if nothing tells. */
  readonly expiresAtMs?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Files are read again after so long: whoever renews keys writes them anew. */
const FRESH_MS = 10_000;
/** Looking for keys where there are none may take a second. Whoever is refused looks at once. */
const NONE_MS = 600_000;
/** As the SDK does. */
const RENEWED_BEFORE_MS = 300_000;
/** What says that somebody has keys for us. */
const SOURCES = [
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
];

/** Owns the keys, which may be renewed while jobs run. */
export class S3KeyRing {
  readonly #read: () => Promise<S3Keys | undefined>;
  #keys: Promise<S3Keys | undefined> | undefined;
  /** By `performance.now()`. */
  #freshUntilMs = 0;

  constructor(read: () => Promise<S3Keys | undefined>) {
    this.#read = read;
  }

  /**
   * @returns undefined without keys: requests are not signed
   * @throws InputError if what is set gives none; BusyError if it may later
   */
  keys(): Promise<S3Keys | undefined> {
    const isFresh = performance.now() < this.#freshUntilMs;
    return this.#keys !== undefined && isFresh ? this.#keys : this.#renew();
  }

  /** Reads them again, because a server refused those. @returns whether they are others now */
  async areOthers(refused: S3Keys | undefined): Promise<boolean> {
    return JSON.stringify(await this.#renew()) !== JSON.stringify(refused);
  }

  #renew(): Promise<S3Keys | undefined> {
    const keys = this.#read();
    this.#keys = keys;
    // Those who ask meanwhile wait for the same.
    this.#freshUntilMs = Infinity;
    keys.then(
      (found) => {
        if (this.#keys === keys) this.#freshUntilMs = performance.now() + freshMsOf(found);
      },
      () => {
        if (this.#keys === keys) this.#keys = undefined;
      },
    );
    return keys;
  }
}

function freshMsOf(keys: S3Keys | undefined): number {
  if (keys === undefined) return NONE_MS;
  if (keys.expiresAtMs === undefined) return FRESH_MS;
  return Math.max(FRESH_MS, keys.expiresAtMs - RENEWED_BEFORE_MS - Date.now());
}

/**
 * 1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the files that these names with `_FILE` name.
 * 2. Else what the AWS SDK for JavaScript finds: the profile of the shared files, with roles, single sign-on and programs; web identity;
 *    the role of the container; the role of the instance.
 *
 * @param environment the process's own: the SDK reads no other
 * @returns undefined if nobody gives any, and nothing says that somebody should
 * @throws InputError if one is set by half, or what is set gives none; BusyError if it may give some later
 */
export async function keysFrom(environment: Environment): Promise<S3Keys | undefined> {
  const [accessKeyId, secretAccessKey, sessionToken] = await Promise.all(
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'].map((name) =>
      settingOf(environment, name),
    ),
  );
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, sessionToken }; // 1
  if (accessKeyId || secretAccessKey) {
    throw new InputError('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: one is missing');
  }
  const { AWS_SHARED_CREDENTIALS_FILE: shared } = environment;
  if (shared) await readNamed(shared, 'AWS_SHARED_CREDENTIALS_FILE');
  return keysOfSdk(environment); // 2
}

/** Only jobs on S3 that have no keys of their own pay for loading it: 4 MB of heap. */
async function keysOfSdk(environment: Environment): Promise<S3Keys | undefined> {
  // Its versions to come need a newer Node; the one that comes with us does not.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  try {
    // What it remembers would hide files that were written anew.
    const keys = await defaultProvider({ ignoreCache: true })();
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = keys;
    return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs: expiration?.getTime() };
  } catch (error) {
    const named = SOURCES.filter((name) => environment[name]);
    if (named.length === 0) return undefined;
    const message = `no keys for S3 from what ${named.join(' and ')} ${named.length > 1 ? 'name' : 'names'}: ${messageOf(error)}`;
    throw isFinal(error) ? new InputError(message, error) : new BusyError(message);
  }
}

/** Whether asking again would be in vain. @param error of the SDK, or of the service that it asked */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Error) || /Expired|IDPCommunication/.test(error.name)) return false;
  const { httpStatusCode: status = 0 } = (error as ServiceError).$metadata ?? {};
  return error.name === 'CredentialsProviderError' || (status >= 400 && !isBusy(status));
}

interface ServiceError {
  readonly $metadata?: { readonly httpStatusCode?: number };
}

async function settingOf(environment: Environment, name: string): Promise<string | undefined> {
  const file = environment[`${name}_FILE`];
  if (environment[name] || !file) return environment[name] || undefined;
  return (await readNamed(file, `${name}_FILE`)).trim() || undefined;
}

async function readNamed(file: string, setting: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = systemCodeOf(error) === 'ENOENT' ? 'it is not there' : messageOf(error);
    throw new InputError(`${setting}: ${file} cannot be read: ${reason}`, error);
  }
}
