import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { InputError } from '../../../../src/jobs/files/input-error.js';
import { Places } from '../../../../src/jobs/files/places.js';
import { s3Url } from '../../../../src/jobs/files/remote/s3-client.js';
import { all, signal, temporaryFolder } from '../reading.js';
import { KEYS, S3Server } from './s3-server.js';

const server = await S3Server.start();
const placesWith = (s3: object) =>
  new Places({ s3: { ...server.options, ...s3 }, folders: [], privateAddresses: false });
const places = placesWith({});

beforeEach(() => {
  server.objects.clear();
  server.uploads.clear();
  server.requests.length = 0;
});

const list = async (...patterns: string[]) =>
  (await all(places.list(patterns, signal))).map(({ url }) => url.replace('s3://bucket/', ''));

const chunksOf = async function* (...chunks: (string | Buffer)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
};

const busy = (status: number, headers = {}) => ({
  when: () => true,
  answer: (reply: import('node:http').ServerResponse) => {
    reply.writeHead(status, headers).end();
  },
});

describe('files of S3', () => {
  test('globs, folders and keys, over several pages', async () => {
    for (let n = 0; n < 10; n += 1) server.put(`mails/2024/part-${n}.jsonl`, '{}');
    for (const key of [
      'mails/_SUCCESS',
      'mails/.hidden.csv',
      'mails/a.csv',
      'mailsplus/b.csv',
      'x.txt',
    ]) {
      server.put(key, 'x');
    }
    expect(await list('s3://bucket/mails/**/*.jsonl')).toHaveLength(10);
    expect(server.requests.filter((request) => request.includes('prefix=mails%2F'))).toHaveLength(
      5,
    );
    expect(await list('s3://bucket/mails/*/part-{1,[5-7]}.jsonl')).toEqual(
      [1, 5, 6, 7].map((n) => `mails/2024/part-${n}.jsonl`),
    );
    expect(await list('s3://bucket/mails')).toHaveLength(11);
    expect(await list('s3://bucket/x.txt', 's3://bucket/*.txt')).toEqual(['x.txt']);
    await expect(list('s3://bucket/mails/*.parquet')).rejects.toThrow('no file matches');
    await expect(list('s3://bucket/none')).rejects.toThrow('is no file, and no folder');
    await expect(list('s3://other/a')).rejects.toThrow('there is no such bucket');
    await expect(list('s3://')).rejects.toThrow('names no bucket');
  });

  test('names with all kinds of characters are listed, read and written', async () => {
    for (const name of ["a b+c%20&<ü>='!()*~.jsonl", 'a?b#c.jsonl']) {
      const written = await places
        .writer('s3://bucket/out put')
        .write(name, chunksOf('{"a":1}'), signal);
      expect(written.url).toBe(`s3://bucket/out put/${name}`);
      const found = await all(places.list(['s3://bucket/out put/'], signal));
      const file = found.find(({ url }) => url === written.url);
      if (file === undefined) throw new Error(`${name} is not listed`);
      expect(
        Buffer.concat(await all(places.read(file, { start: 2, end: 5 }, signal))).toString(),
      ).toBe('a":');
    }
  });

  test('the output of the job within its input is no input', async () => {
    const part = 'part-000000-0123456789ab.jsonl';
    for (const key of ['in/a.jsonl', `in/x/${part}`, `in/out/${part}`, 'in/out/notes.jsonl']) {
      server.put(key, '{}');
    }
    const listed = async (pattern: string, output: string) =>
      (await all(places.list([pattern], signal, { output }))).map(({ url }) => url);
    const others = ['s3://bucket/in/a.jsonl', `s3://bucket/in/x/${part}`];
    expect(await listed('s3://bucket/in', 's3://bucket/in/out')).toEqual(others);
    expect(await listed('s3://bucket/in/**', 's3://bucket/in/out/')).toEqual([
      's3://bucket/in/a.jsonl',
      's3://bucket/in/out/notes.jsonl',
      `s3://bucket/in/x/${part}`,
    ]);
    expect(await listed('s3://bucket/in/', 's3://other/in/out')).toHaveLength(4);
    expect(await listed(`s3://bucket/in/out/${part}`, 's3://bucket/in/out')).toHaveLength(1);
    await expect(listed('s3://bucket/in', 's3://bucket/in/')).rejects.toThrow(
      'is the folder that is read',
    );
    await expect(listed('s3://bucket/in/out/part-*', 's3://bucket/in/out')).rejects.toThrow(
      'but the 1 that lie in the output',
    );
  });

  test('a key with wildcards in it is that file; a glob that ends with a slash is one of folders', async () => {
    for (const key of [
      'a[1].jsonl',
      'a1.jsonl',
      'is it?.jsonl',
      '[x]/b.csv',
      '2024-1/c.csv',
      '2024-2/x/d.csv',
      '2024-2/n.txt',
    ]) {
      server.put(key, 'x');
    }
    expect(await list('s3://bucket/a[1].jsonl')).toEqual(['a[1].jsonl']);
    expect(await list('s3://bucket/is it?.jsonl')).toEqual(['is it?.jsonl']);
    expect(await list('s3://bucket/[x]/')).toEqual(['[x]/b.csv']);
    expect(await list('s3://bucket/2024-*/')).toEqual(['2024-1/c.csv', '2024-2/x/d.csv']);
    // Who may read some keys only is told 403 of a glob's own name.
    server.faults.push({
      when: (method) => method === 'HEAD',
      answer: (reply) => reply.writeHead(403).end(),
    });
    expect(await list('s3://bucket/a*.jsonl')).toEqual(['a1.jsonl', 'a[1].jsonl']);
  });

  test('a wrong key, and none, are told', async () => {
    server.put('a.csv', 'x');
    const read = (s3: object) => all(placesWith(s3).list(['s3://bucket/*.csv'], signal));
    await expect(read({ secretAccessKey: 'wrong' })).rejects.toThrow(
      'the key that is set does not allow it',
    );
    await expect(read({ accessKeyId: undefined })).rejects.toThrow('no key is set');
    expect(() => placesWith({ endpoint: 'nowhere' })).toThrow('jobs.s3.endpoint');
  });

  const refusal = (status: number, code: string, when = (_method: string) => true) => ({
    when,
    answer: (reply: import('node:http').ServerResponse) => {
      reply.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
    },
  });

  test('keys that are renewed while a job runs are read again; an expired token passes', async () => {
    const file = path.join(await temporaryFolder(), 'credentials');
    const keys = (secret: string) =>
      writeFileSync(
        file,
        `[default]\naws_access_key_id=${KEYS.accessKeyId}\naws_secret_access_key=${secret}\naws_session_token=t\n`,
      );
    keys('old');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
    const own = { accessKeyId: '', secretAccessKey: '', environment: process.env };
    const other = placesWith(own);
    server.put('a.csv', 'x');
    const listed = () => all(other.list(['s3://bucket/a.csv', 's3://bucket/*.csv'], signal));
    await expect(listed()).rejects.toThrow('does not allow it');
    // Those of before are fresh yet: it is the refusal that has them read again.
    keys(KEYS.secretAccessKey);
    expect(await listed()).toHaveLength(1);
    const listing = (method: string) => method === 'GET';
    server.faults.push(
      refusal(400, 'ExpiredToken', listing),
      refusal(400, 'ExpiredToken', listing),
    );
    expect(await listed()).toHaveLength(1);
    for (let n = 0; n < 5; n += 1) server.faults.push(refusal(400, 'ExpiredToken'));
    const failure: unknown = await listed().catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('token has expired') });
    // Other attempts at the shard may go well.
    expect(failure).not.toBeInstanceOf(InputError);
  });

  test('a server that does not know If-None-Match is looked at first', async () => {
    for (const [status, code] of [
      [501, 'NotImplemented'],
      [400, 'InvalidArgument'],
    ] as const) {
      server.objects.clear();
      const other = placesWith({});
      const puts = (method: string) => method === 'PUT';
      server.faults.push(refusal(status, code, puts));
      const write = (name: string, content: string) =>
        other.writer('s3://bucket/out').write(name, chunksOf(content), signal);
      const first = await write('a', 'first');
      expect(await write('a', 'other')).toEqual(first);
      expect(server.objects.get('out/a')?.body.toString()).toBe('first');
      server.requests.length = 0;
      await write('b', 'x');
      expect(server.requests).toEqual(['HEAD /bucket/out/b', 'PUT /bucket/out/b']);
    }
    // What is wrong with the request itself is told.
    server.faults.push(refusal(400, 'BadDigest'), refusal(404, ''), refusal(400, 'BadDigest'));
    await expect(
      placesWith({}).writer('s3://bucket/out').write('c', chunksOf('x'), signal),
    ).rejects.toThrow('BadDigest');
  });

  test.each([
    [{}, 'bucket', 'https://bucket.s3.eu-1.amazonaws.com/a/b%20c'],
    [{}, 'my.bucket', 'https://s3.eu-1.amazonaws.com/my.bucket/a/b%20c'],
    [{ addressing: 'path' }, 'bucket', 'https://s3.eu-1.amazonaws.com/bucket/a/b%20c'],
    [{ endpoint: 'http://127.0.0.1:9000/' }, 'bucket', 'http://127.0.0.1:9000/bucket/a/b%20c'],
    [
      { endpoint: 'https://s3.example:444', addressing: 'host' },
      'my.bucket',
      'https://my.bucket.s3.example:444/a/b%20c',
    ],
  ] as const)('%o: %s is at %s', (options, bucket, url) => {
    const told = { endpoint: undefined, region: 'eu-1', ...options };
    expect(s3Url(told, { bucket, key: 'a/b c' }).href).toBe(url);
    const whole = s3Url(told, { bucket }).href;
    expect(whole.endsWith(`/${bucket}`) || whole.endsWith('/')).toBe(true);
  });

  test('a bucket that cannot be part of a host is refused', () => {
    const endpoint = 'http://127.0.0.1:9000';
    for (const of of [{ endpoint }, { endpoint: undefined }]) {
      expect(() =>
        s3Url({ ...of, region: 'eu-1', addressing: 'host' }, { bucket: 'My_bucket' }),
      ).toThrow('jobs.s3.addressing=path');
    }
  });

  test('a file that changed is refused', async () => {
    server.put('a.csv', 'first');
    const [file] = await all(places.list(['s3://bucket/a.csv'], signal));
    server.put('a.csv', 'other');
    if (file === undefined) throw new Error('none');
    await expect(all(places.read(file, { start: 0 }, signal))).rejects.toThrow('another file');
  });

  test('a busy server is asked again, a broken connection is resumed', async () => {
    const body = Buffer.from(Array.from({ length: 50_000 }, (_, n) => n % 251));
    server.put('a.bin', body);
    server.faults.push(busy(503), busy(429, { 'retry-after': '0' }));
    const [file] = await all(places.list(['s3://bucket/a.bin'], signal));
    if (file === undefined) throw new Error('none');
    server.faults.push({
      when: (method) => method === 'GET',
      answer: (reply) => {
        reply.writeHead(206, { etag: server.objects.get('a.bin')?.etag, 'content-length': 40_000 });
        reply.write(body.subarray(10_000, 20_000), () => reply.destroy());
      },
    });
    const read = Buffer.concat(await all(places.read(file, { start: 10_000 }, signal)));
    expect(read.equals(body.subarray(10_000))).toBe(true);
  });
});

describe('parts in S3', () => {
  const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

  test('a part is written once; who writes it again gets what is there', async () => {
    const writer = places.writer('s3://bucket/out');
    const first = await writer.write('part-1.jsonl', chunksOf('one', 'two'), signal);
    expect(first).toEqual({
      url: 's3://bucket/out/part-1.jsonl',
      bytes: 6,
      sha256: sha256('onetwo'),
    });
    expect(await writer.write('part-1.jsonl', chunksOf('other'), signal)).toEqual(first);
    expect(await writer.find('part-1.jsonl', signal)).toEqual(first);
    expect(await writer.bytesOf('part-1.jsonl', signal)).toBe(first.bytes);
    expect(await writer.bytesOf('part-2.jsonl', signal)).toBeUndefined();
    expect(await writer.find('part-2.jsonl', signal)).toBeUndefined();
    expect(await writer.replace('part-1.jsonl', chunksOf('new'), signal)).toMatchObject({
      bytes: 3,
    });
    expect(server.objects.get('out/part-1.jsonl')?.body.toString()).toBe('new');
  });

  test('an empty part is one, too', async () => {
    const written = await places.writer('s3://bucket/').write('part-0.jsonl', chunksOf(), signal);
    expect(written).toMatchObject({ bytes: 0, sha256: sha256('') });
  });

  test('a long part is sent in pieces, and nothing of it stays where there is one', async () => {
    const big = Buffer.alloc(10 * 1024 * 1024, 'plimsoll');
    const writer = places.writer('s3://bucket/out/');
    const pieces = () => chunksOf(big.subarray(0, 9_000_000), big.subarray(9_000_000));
    const first = await writer.write('part-1.csv', pieces(), signal);
    expect(first).toMatchObject({ bytes: big.length, sha256: sha256(big) });
    expect(server.objects.get('out/part-1.csv')?.body.equals(big)).toBe(true);
    expect(await writer.write('part-1.csv', pieces(), signal)).toEqual(first);
    expect(server.uploads.size).toBe(0);
  });

  test('an upload that fails leaves nothing, and what killed ones left is tidied up', async () => {
    const writer = places.writer('s3://bucket/out');
    const failing = async function* () {
      yield Buffer.alloc(9 * 1024 * 1024);
      yield Buffer.alloc(9 * 1024 * 1024);
      throw new Error('the model is gone');
    };
    await expect(writer.write('part-1.csv', failing(), signal)).rejects.toThrow(
      'the model is gone',
    );
    expect(server.uploads.size).toBe(0);
    expect(server.objects.size).toBe(0);
    const begun = '2026-01-01T00:00:00.000Z';
    server.uploads.set('left', { key: 'out/part-7.csv', parts: new Map(), begun });
    server.uploads.set('fresh', { key: 'out/part-7.csv', parts: new Map() });
    server.uploads.set('others', { key: 'elsewhere/part-7.csv', parts: new Map(), begun });
    expect(await writer.tidy(signal)).toBe(1);
    expect([...server.uploads.keys()]).toEqual(['fresh', 'others']);
  });

  test('a reply that is lost: the second attempt finds its own part', async () => {
    server.faults.push({
      when: (method) => method === 'PUT',
      answer: (reply) => {
        server.put('out/part-1.csv', 'rows');
        reply.destroy();
      },
    });
    const written = await places
      .writer('s3://bucket/out')
      .write('part-1.csv', chunksOf('rows'), signal);
    expect(written).toMatchObject({ bytes: 4, sha256: sha256('rows') });
  });
});
