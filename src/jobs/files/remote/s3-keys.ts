/** The keys that requests to S3 are signed with, and where they come from. */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { InputError } from '../input-error.js';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Files are read again after so long: whoever renews keys writes them anew. */
const FRESH_MS = 10_000;

/** Owns the keys, which may be renewed while jobs run. */
export class S3KeyRing {
  readonly #read: () => Promise<S3Keys | undefined>;
  #keys: Promise<S3Keys | undefined> | undefined;
  #readAtMs = 0;

  constructor(read: () => Promise<S3Keys | undefined>) {
    this.#read = read;
  }

  /**
   * @returns undefined without keys: requests are not signed
   * @throws InputError if a file that is named cannot be read
   */
  keys(): Promise<S3Keys | undefined> {
    const isFresh = performance.now() - this.#readAtMs < FRESH_MS;
    return this.#keys !== undefined && isFresh ? this.#keys : this.#renew();
  }

  /** Reads them again, because a server refused those. @returns whether they are others now */
  async areOthers(refused: S3Keys | undefined): Promise<boolean> {
    return JSON.stringify(await this.#renew()) !== JSON.stringify(refused);
  }

  #renew(): Promise<S3Keys | undefined> {
    this.#readAtMs = performance.now();
    const keys = this.#read();
    this.#keys = keys;
    keys.catch(() => {
      if (this.#keys === keys) this.#keys = undefined;
    });
    return keys;
  }
}

/**
 * 1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the files that these names with `_FILE` name.
 * 2. Else the profile AWS_PROFILE (`default`) of the shared credentials file: AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials.
 *
 * @throws InputError if one is set by half, or a file or profile that is named is not there
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
  return profileKeys(environment); // 2
}

async function settingOf(environment: Environment, name: string): Promise<string | undefined> {
  const file = environment[`${name}_FILE`];
  if (environment[name] || !file) return environment[name] || undefined;
  return (await readNamed(file, `${name}_FILE`)).trim() || undefined;
}

async function profileKeys(environment: Environment): Promise<S3Keys | undefined> {
  const { AWS_SHARED_CREDENTIALS_FILE: named, AWS_PROFILE: wanted } = environment;
  const file = named || path.join(environment.HOME || os.homedir(), '.aws', 'credentials');
  const isNamed = Boolean(named || wanted);
  const text = isNamed
    ? await readNamed(file, named ? 'AWS_SHARED_CREDENTIALS_FILE' : 'AWS_PROFILE')
    : await readFile(file, 'utf8').catch(() => '');
  const profile = profileOf(text, wanted || 'default');
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey } = profile;
  if (accessKeyId && secretAccessKey) {
    return { accessKeyId, secretAccessKey, sessionToken: profile.aws_session_token };
  }
  if (!wanted) return undefined;
  throw new InputError(
    `${file} has no keys for the profile ${wanted} (AWS_PROFILE): profiles that assume a role or ask a program are not understood; write keys there, those of \`aws configure export-credentials\` say`,
  );
}

/** The names and values of one `[section]`. */
function profileOf(text: string, name: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    section = /^\s*\[\s*(?:profile\s+)?(.*?)\s*\]/.exec(line)?.[1] ?? section;
    const [, key, value] = /^\s*(aws_\w+)\s*=\s*(.*?)\s*$/i.exec(line) ?? [];
    if (section === name && key !== undefined) found[key.toLowerCase()] = value ?? '';
  }
  return found;
}

async function readNamed(file: string, setting: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = systemCodeOf(error) === 'ENOENT' ? 'it is not there' : messageOf(error);
    throw new InputError(`${setting}: ${file} cannot be read: ${reason}`, error);
  }
}
