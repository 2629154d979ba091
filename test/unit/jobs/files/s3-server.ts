/**
 * A small S3 for tests, strict where it matters: it reckons every signature anew (Signature Version 4), checks the SHA-256 of every body,
 * answers ranges and conditions, and lists by pages.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

export const KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'test/secret+key' };
const REGION = 'eu-test-1';

interface Stored {
  readonly body: Buffer;
  readonly etag: string;
  readonly sha256: string | undefined;
}

/** What the next request that fits is answered with instead. */
interface Fault {
  readonly when: (method: string, url: URL) => boolean;
  readonly answer: (reply: http.ServerResponse) => void;
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) =>
  createHmac('sha256', key).update(data).digest();
const escapeXml = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
const encode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );

export class S3Server {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<
    string,
    { readonly key: string; readonly parts: Map<number, Buffer>; readonly begun?: string }
  >();
  readonly requests: string[] = [];
  readonly faults: Fault[] = [];
  pageSize = 3;
  readonly #server = http.createServer((request, reply) => {
    this.#answer(request, reply).catch((error: unknown) => reply.writeHead(500).end(String(error)));
  });

  static async start(): Promise<S3Server> {
    const server = new S3Server();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    afterAll(() => {
      server.#server.closeAllConnections();
      server.#server.close();
    });
    return server;
  }

  get options() {
    const { port } = this.#server.address() as AddressInfo;
    return { endpoint: `http://127.0.0.1:${port}`, region: REGION, ...KEYS };
  }

  put(key: string, body: string | Buffer): void {
    const bytes = Buffer.from(body);
    this.objects.set(key, {
      body: bytes,
      etag: `"${sha256(bytes).slice(0, 32)}"`,
      sha256: undefined,
    });
  }

  async #answer(request: http.IncomingMessage, reply: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method = '' } = request;
    const url = new URL(request.url ?? '', 'http://server');
    this.requests.push(`${method} ${request.url}`);
    const fault = this.faults.findIndex(({ when }) => when(method, url));
    if (fault >= 0) return this.faults.splice(fault, 1)[0]?.answer(reply);
    const wrong = wrongSignature(request, url, body);
    if (wrong !== undefined) return fail(reply, 403, 'SignatureDoesNotMatch', wrong);
    const [, bucket, ...rest] = url.pathname.split('/');
    if (bucket !== 'bucket') return fail(reply, 404, 'NoSuchBucket', 'no such bucket');
    const key = rest.map(decodeURIComponent).join('/');
    if (key === '') return this.#list(url, reply);
    if (url.searchParams.has('uploads') || url.searchParams.has('uploadId')) {
      return this.#multipart(method, key, url, request, body, reply);
    }
    if (method === 'PUT') return this.#store(key, body, request, reply);
    return this.#send(method, key, request, reply);
  }

  #store(
    key: string,
    body: Buffer,
    request: http.IncomingMessage,
    reply: http.ServerResponse,
  ): void {
    if (request.headers['if-none-match'] === '*' && this.objects.has(key)) {
      fail(reply, 412, 'PreconditionFailed', 'it is there');
      return;
    }
    const told = request.headers['x-amz-meta-sha256'];
    const etag = `"${sha256(body).slice(0, 32)}"`;
    this.objects.set(key, { body, etag, sha256: typeof told === 'string' ? told : undefined });
    reply.writeHead(200, { etag }).end();
  }

  #send(
    method: string,
    key: string,
    request: http.IncomingMessage,
    reply: http.ServerResponse,
  ): void {
    const stored = this.objects.get(key);
    if (stored === undefined) {
      if (method === 'HEAD') reply.writeHead(404).end();
      else fail(reply, 404, 'NoSuchKey', 'no such key');
      return;
    }
    const { body, etag } = stored;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = [Number(from ?? 0), Math.min(Number(to ?? body.length) + 1, body.length)];
    const part = body.subarray(start, end);
    reply.writeHead(from === undefined ? 200 : 206, {
      etag,
      'content-length': part.length,
      ...(stored.sha256 === undefined ? {} : { 'x-amz-meta-sha256': stored.sha256 }),
      ...(from === undefined
        ? {}
        : { 'content-range': `bytes ${start}-${end - 1}/${body.length}` }),
    });
    reply.end(method === 'HEAD' ? undefined : part);
  }

  #list(url: URL, reply: http.ServerResponse): void {
    const prefix = url.searchParams.get('prefix') ?? '';
    if (url.searchParams.has('uploads')) {
      const open = [...this.uploads].filter(([, { key }]) => key.startsWith(prefix));
      const xml = open.map(
        ([id, { key, begun = new Date().toISOString() }]) =>
          `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId><Initiated>${begun}</Initiated></Upload>`,
      );
      reply.end(`<ListMultipartUploadsResult>${xml.join('')}</ListMultipartUploadsResult>`);
      return;
    }
    const after = url.searchParams.get('continuation-token') ?? '';
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort();
    const page = keys.slice(0, this.pageSize);
    const contents = page.map((key) => {
      const { body, etag } = this.objects.get(key) ?? { body: Buffer.alloc(0), etag: '' };
      const shown = url.searchParams.get('encoding-type') === 'url' ? encode(key) : escapeXml(key);
      return `<Contents><Key>${shown}</Key><Size>${body.length}</Size><ETag>${escapeXml(etag)}</ETag></Contents>`;
    });
    const isCut = keys.length > page.length;
    const token = isCut
      ? `<NextContinuationToken>${escapeXml(page.at(-1) ?? '')}</NextContinuationToken>`
      : '';
    reply.end(
      `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${isCut}</IsTruncated>${token}${contents.join('')}</ListBucketResult>`,
    );
  }

  #multipart(
    method: string,
    key: string,
    url: URL,
    request: http.IncomingMessage,
    body: Buffer,
    reply: http.ServerResponse,
  ): void {
    if (url.searchParams.has('uploads')) {
      const id = randomUUID();
      this.uploads.set(id, { key, parts: new Map() });
      reply.end(
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
      return;
    }
    const id = url.searchParams.get('uploadId') ?? '';
    const upload = this.uploads.get(id);
    if (upload?.key !== key) {
      fail(reply, 404, 'NoSuchUpload', 'no such upload');
      return;
    }
    if (method === 'DELETE') {
      this.uploads.delete(id);
      reply.writeHead(204).end();
    } else if (method === 'PUT') {
      upload.parts.set(Number(url.searchParams.get('partNumber')), body);
      reply.writeHead(200, { etag: `"${sha256(body).slice(0, 32)}"` }).end();
    } else {
      const named = [
        ...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>(.*?)<\/ETag>/g),
      ];
      const parts = named.map(([, number]) => upload.parts.get(Number(number)) ?? Buffer.alloc(0));
      const isRight = named.every(
        ([, , etag], n) => etag === `"${sha256(parts[n] ?? '').slice(0, 32)}"`,
      );
      if (!isRight || parts.slice(0, -1).some((part) => part.length < 5 * 1024 * 1024)) {
        fail(reply, 400, 'InvalidPart', 'a part is missing, or too small');
        return;
      }
      this.#store(key, Buffer.concat(parts), request, reply);
      if (reply.statusCode === 200) this.uploads.delete(id);
    }
  }
}

function fail(reply: http.ServerResponse, status: number, code: string, message: string): void {
  reply.writeHead(status).end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function wrongSignature(request: http.IncomingMessage, url: URL, body: Buffer): string | undefined {
  const { authorization = '' } = request.headers;
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null) return 'no signature';
  const [, id, day = '', region = '', names = '', signature] = match;
  if (id !== KEYS.accessKeyId || region !== REGION) return `key ${id}, region ${region}`;
  const header = (name: string) => String(request.headers[name] ?? '').trim();
  if (header('x-amz-content-sha256') !== sha256(body)) return 'the body is another one';
  for (const needed of ['host', 'x-amz-date', 'x-amz-content-sha256']) {
    if (!names.split(';').includes(needed)) return `${needed} is not signed`;
  }
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const path = (request.url ?? '')
    .replace(/\?.*$/, '')
    .split('/')
    .map(decodeURIComponent)
    .map(encode);
  const canonical = [
    request.method,
    path.join('/'),
    query,
    ...names.split(';').map((name) => `${name}:${header(name)}`),
    '',
    names,
    sha256(body),
  ].join('\n');
  const date = header('x-amz-date');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(
    (before, part) => hmac(before, part),
    `AWS4${KEYS.secretAccessKey}`,
  );
  return hmac(key, text).toString('hex') === signature
    ? undefined
    : `not the signature of\n${canonical}`;
}
