import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AwsV4Signer } from 'aws4fetch';
import { InputError } from '../input-error.js';
import { bodyOf, HttpClient } from './http-client.js';
import { BusyError, isBusy } from './retries.js';
import { elementOf } from './s3-xml.js';

export interface S3Options {
  /** Undefined: Amazon’s, by the region. */
  readonly endpoint: string | undefined;
  readonly region: string;
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

/** @throws InputError if it names no bucket */
export function s3PlaceOf(address: string): S3Place {
  const [, bucket, key = ''] = /^s3:\/\/([^/]+)\/?(.*)$/is.exec(address) ?? [];
  if (bucket === undefined || !/^[a-z0-9][a-z0-9._-]{1,62}$/i.test(bucket)) {
    throw new InputError(`${address} names no bucket: it is s3://bucket/key`);
  }
  return { bucket, key };
}

/** Sends signed requests to an S3 server, with buckets in the path. */
export class S3Client {
  readonly #options: S3Options;
  /** The endpoint is the owner’s word, wherever it is. */
  readonly #client = new HttpClient(true);
  readonly #endpoint: string;

  /** @throws InputError if the endpoint is no address */
  constructor(options: S3Options) {
    this.#options = options;
    const endpoint = options.endpoint || `https://s3.${options.region}.amazonaws.com`;
    if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
      throw new InputError(`jobs.s3.endpoint: ${endpoint} is no http:// or https:// address`);
    }
    this.#endpoint = endpoint.replace(/\/+$/, '');
  }

  /**
   * @returns the reply if its status is below 300, or is one that is expected; read its body
   * @throws InputError, or BusyError for what may go well later
   */
  async send(
    request: S3Request,
    signal: AbortSignal,
    expected: readonly number[] = [],
  ): Promise<IncomingMessage> {
    const reply = await this.#client.request(await this.#signed(request), signal);
    const { statusCode: status = 0 } = reply;
    if (status < 300 || expected.includes(status)) return reply;
    const xml = (await bodyOf(reply)).toString('utf8');
    throw this.#failureOf(request, status, xml, reply.headers['retry-after']);
  }

  close(): void {
    this.#client.close();
  }

  async #signed({ method, bucket, key, query = {}, headers = {}, body }: S3Request) {
    const url = new URL(
      `${this.#endpoint}/${bucket}${key === undefined ? '' : `/${encodedKey(key)}`}`,
    );
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    // `+` for a blank is understood by some and signed differently by others.
    url.search = url.search.replaceAll('+', '%20');
    const { accessKeyId, secretAccessKey, sessionToken, region } = this.#options;
    const sent = body === undefined ? {} : { body };
    if (!accessKeyId || !secretAccessKey) return { method, url, headers, ...sent };
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
      region,
    });
    const signed = await signer.sign();
    return { method, url: signed.url, headers: Object.fromEntries(signed.headers), ...sent };
  }

  #failureOf(
    { bucket, key }: S3Request,
    status: number,
    xml: string,
    retryAfter: string | undefined,
  ): Error {
    const place = `s3://${bucket}${key === undefined ? '' : `/${key}`}`;
    const code = elementOf(xml, 'Code') ?? '';
    if (isBusy(status) || PASSING.has(code)) {
      return new BusyError(`${place}: its server answered ${status} ${code}`, retryAfter);
    }
    const said = [code, elementOf(xml, 'Message')].filter(Boolean).join(': ') || `status ${status}`;
    return new InputError(`${place}: ${this.#remedyOf(status, code)} (${said})`);
  }

  #remedyOf(status: number, code: string): string {
    const { region, accessKeyId } = this.#options;
    if (code === 'NoSuchBucket') return 'there is no such bucket';
    if (status === 404) return 'it is not there';
    if (status === 301 || status === 307 || code === 'AuthorizationHeaderMalformed') {
      return `its bucket is not in the region ${region}: jobs.s3.region sets which`;
    }
    if (code === 'RequestTimeTooSkewed') return 'the clock of this machine is wrong';
    if ((status === 401 || status === 403) && !accessKeyId) {
      return 'it is not public, and no key is set: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
    }
    if (status === 401 || status === 403) return 'the key that is set does not allow it';
    return 'its server refused';
  }
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
