import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { AwsV4Signer } from 'aws4fetch';
import { InputError } from '../input-error.js';
import { bodyOf, HttpClient } from './http-client.js';
import { BusyError, isBusy } from './retries.js';
import { type Environment, keysFrom, S3KeyRing, type S3Keys } from './s3-keys.js';
import { elementOf } from './s3-xml.js';

export interface S3Options {
  /** Undefined: Amazon’s, by the region. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** Where the bucket is in an address; see {@link s3Url}. */
  readonly addressing?: 'auto' | 'host' | 'path';
  /** Where keys are read from that are not given here; see {@link keysFrom}. */
  readonly environment?: Environment;
  /** Without them requests are not signed: for public buckets. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
}

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** A file of S3. */
export interface S3Place {
  readonly bucket: string;
  readonly key: string;
}

/** Errors of S3 that may be gone at the next attempt, whatever their status. */
const PASSING = new Set([
  'SlowDown',
  'InternalError',
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
]);

const EXPIRED = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);

/** @throws InputError if it names no bucket */
export function s3PlaceOf(address: string): S3Place {
  const [, bucket, key = ''] = /^s3:\/\/([^/]+)\/?(.*)$/is.exec(address) ?? [];
  if (bucket === undefined || !/^[a-z0-9][a-z0-9._-]{1,62}$/i.test(bucket)) {
    throw new InputError(`${address} names no bucket: it is s3://bucket/key`);
  }
  return { bucket, key };
}

/** What S3 refused, and would refuse again. */
export class S3Refusal extends InputError {
  readonly answered: number;

  /** @param answered the status of the reply */
  constructor(message: string, answered: number) {
    super(message);
    this.answered = answered;
  }
}

/** Sends signed requests to an S3 server. */
export class S3Client {
  readonly #options: S3Options;
  /** The endpoint is the owner’s word, wherever it is. */
  readonly #client = new HttpClient(true);
  readonly #ring: S3KeyRing;
  /** Whether the server is thought to know `If-None-Match`; the first writer that finds out otherwise says so. */
  knowsConditions = true;

  /** @throws InputError if the endpoint is no address */
  constructor(options: S3Options) {
    this.#options = options;
    s3Url(options, { bucket: 'bucket' });
    const { accessKeyId, secretAccessKey, sessionToken, environment = {} } = options;
    const own =
      accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey, sessionToken } : undefined;
    this.#ring = new S3KeyRing(async () => own ?? (await keysFrom(environment)));
  }

  /**
   * Keys that the server does not take are read again, and the request is sent once more if they are others.
   *
   * @returns the reply if its status is below 300, or is one that is expected; read its body
   * @throws InputError, or BusyError for what may go well later
   */
  async send(
    request: S3Request,
    signal: AbortSignal,
    expected: readonly number[] = [],
  ): Promise<IncomingMessage> {
    for (let isAgain = false; ; isAgain = true) {
      const keys = await this.#ring.keys();
      const reply = await this.#client.request(await this.#signed(request, keys), signal);
      const { statusCode: status = 0 } = reply;
      if (status < 300) return reply;
      const isOfKeys = status === 400 || status === 401 || status === 403;
      if (isOfKeys && !isAgain && (await this.#ring.areOthers(keys))) {
        await bodyOf(reply);
        continue;
      }
      if (expected.includes(status)) return reply;
      const xml = (await bodyOf(reply)).toString('utf8');
      throw this.#failureOf(request, {
        status,
        xml,
        keys,
        retryAfter: reply.headers['retry-after'],
      });
    }
  }

  close(): void {
    this.#client.close();
  }

  async #signed(
    { method, bucket, key, query = {}, headers = {}, body }: S3Request,
    keys: S3Keys | undefined,
  ) {
    const url = s3Url(this.#options, { bucket, key });
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    // `+` for a blank is understood by some and signed differently by others.
    url.search = url.search.replaceAll('+', '%20');
    const sent = body === undefined ? {} : { body };
    if (keys === undefined) return { method, url, headers, ...sent };
    const { accessKeyId, secretAccessKey, sessionToken } = keys;
    const sha256 = createHash('sha256')
      .update(body ?? '')
      .digest('hex');
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': sha256 },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken ? { sessionToken } : {}),
      service: 's3',
      region: this.#options.region,
    });
    const signed = await signer.sign();
    return { method, url: signed.url, headers: Object.fromEntries(signed.headers), ...sent };
  }

  #failureOf(
    { method, bucket, key }: S3Request,
    { status, xml, keys, retryAfter }: Failure,
  ): Error {
    const place = `s3://${bucket}${key === undefined ? '' : `/${key}`}`;
    const code = elementOf(xml, 'Code') ?? '';
    if (isBusy(status) || PASSING.has(code)) {
      return new BusyError(`${place}: its server answered ${status} ${code}`, retryAfter);
    }
    // Replies to HEAD have no body, which would name the code.
    const isUntold = method === 'HEAD' && status === 400 && keys?.sessionToken !== undefined;
    if (EXPIRED.has(code) || isUntold) {
      return new BusyError(
        `${place}: the session token has expired (AWS_SESSION_TOKEN): write new keys where they are read from; the job goes on with them (${code || `status ${status}`})`,
      );
    }
    const said = [code, elementOf(xml, 'Message')].filter(Boolean).join(': ') || `status ${status}`;
    return new S3Refusal(`${place}: ${this.#remedyOf(status, code, keys)} (${said})`, status);
  }

  #remedyOf(status: number, code: string, keys: S3Keys | undefined): string {
    if (code === 'NoSuchBucket') return 'there is no such bucket';
    if (status === 404) return 'it is not there';
    if (status === 301 || status === 307 || code === 'AuthorizationHeaderMalformed') {
      return `its bucket is not in the region ${this.#options.region}: jobs.s3.region sets which`;
    }
    if (code === 'RequestTimeTooSkewed') return 'the clock of this machine is wrong';
    if ((status === 401 || status === 403) && keys === undefined) {
      return 'it is not public, and no key is set: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role';
    }
    if (status === 401 || status === 403) return 'the key that is set does not allow it';
    return 'its server refused';
  }
}

interface Failure {
  readonly status: number;
  readonly xml: string;
  readonly keys: S3Keys | undefined;
  readonly retryAfter: string | undefined;
}

/**
 * The address of a bucket, or of a file in it.
 *
 * 1. The bucket is part of the host (`bucket.host/key`) where that is asked for, and by default at Amazon.
 * 2. Else it is part of the path (`host/bucket/key`); by default also if its name is none for a certificate of one level.
 *
 * @throws InputError if the endpoint is no address, or the bucket cannot be part of a host
 */
export function s3Url(
  { endpoint, region, addressing = 'auto' }: S3Options,
  { bucket, key }: { readonly bucket: string; readonly key?: string | undefined },
): URL {
  const base = (endpoint || `https://s3.${region}.amazonaws.com`).replace(/\/+$/, '');
  if (!URL.canParse(base) || !/^https?:/.test(base)) {
    throw new InputError(`jobs.s3.endpoint: ${base} is no http:// or https:// address`);
  }
  const file = key === undefined ? '' : `/${encodedKey(key)}`;
  const fitsHost = /^[a-z0-9][a-z0-9-]*$/.test(bucket);
  const isOfHost = addressing === 'host' || (addressing === 'auto' && !endpoint && fitsHost);
  if (!isOfHost) return new URL(`${base}/${bucket}${file}`); // 2
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(bucket) || isIP(new URL(base).hostname) !== 0) {
    throw new InputError(
      `the bucket ${bucket} cannot be part of the host of ${base}: jobs.s3.addressing=path puts it into the path`,
    );
  }
  return new URL(`${base.replace('://', `://${bucket}.`)}${file || '/'}`); // 1
}

/** Each part of the key by RFC 3986, as signatures have it. */
function encodedKey(key: string): string {
  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  // URLs take `.` and `..` away, so a key with them is another one.
  if (key.split('/').some((part) => part === '.' || part === '..')) {
    throw new InputError(`${key} has . or .. as a part, which no address can have`);
  }
  return key.split('/').map(encode).join('/');
}
