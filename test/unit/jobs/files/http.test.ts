import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Places } from '../../../../src/jobs/files/places.js';
import { HttpClient } from '../../../../src/jobs/files/remote/http-client.js';
import { isPrivateAddress } from '../../../../src/jobs/files/remote/private-addresses.js';
import { Formats } from '../../../../src/jobs/formats/formats.js';
import { all, signal, valuesOf } from '../reading.js';

const ROWS = Array.from({ length: 3000 }, (_, n) => ({ n, text: `row ${n} `.repeat(60) }));
const BODY = Buffer.from(ROWS.map((row) => JSON.stringify(row)).join('\n'));
const requests: string[] = [];
let version = 'one';
let breaks = 0;

/** Paths: /ranges/… with ranges, /plain/… without, /chunked/… without a length, /to?… leads on. */
const server = http.createServer((request, reply) => {
  const url = new URL(request.url ?? '', 'http://server');
  requests.push(`${request.method} ${url.pathname} ${request.headers.range ?? ''}`);
  const [, kind, name = ''] = url.pathname.split('/');
  if (kind === 'to') {
    reply.writeHead(302, { location: url.searchParams.get('location') ?? '' }).end();
    return;
  }
  if (kind === 'stalls') {
    reply.writeHead(200).write('x');
    return;
  }
  if (kind === 'status') {
    reply.writeHead(Number(name)).end();
    return;
  }
  const body = name.endsWith('.gz') ? gzipSync(BODY) : BODY;
  const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (kind !== 'ranges') {
    const length = kind === 'chunked' ? {} : { 'content-length': body.length };
    reply.writeHead(200, { etag: version, ...length }).end(body);
    return;
  }
  const [start, end] = [
    Number(from),
    Math.min(to === '' ? body.length : Number(to) + 1, body.length),
  ];
  reply.writeHead(206, {
    etag: version,
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${body.length}`,
  });
  if (breaks > 0 && end - start > 2000) {
    breaks -= 1;
    reply.write(body.subarray(start, start + 1000), () => reply.destroy());
  } else reply.end(body.subarray(start, end));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const placesWith = (privateAddresses: boolean) =>
  new Places({ s3: { endpoint: undefined, region: 'us-east-1' }, folders: [], privateAddresses });
const places = placesWith(true);

beforeEach(() => {
  requests.length = 0;
  version = 'one';
  breaks = 0;
});

async function one(address: string) {
  const [file] = await all(places.list([address], signal));
  if (file === undefined) throw new Error('none');
  return file;
}

describe('http', () => {
  test.each([
    ['ranges', 'rows.jsonl', 'none'],
    ['plain', 'rows.jsonl', 'none'],
    ['chunked', 'rows.jsonl', 'none'],
    ['ranges', 'rows.jsonl.gz', 'gzip'],
    ['chunked', 'rows.jsonl.gz', 'gzip'],
  ] as const)('%s/%s: all rows, each once', async (kind, name, compression) => {
    const file = await one(`${base}/${kind}/${name}`);
    const formats = new Formats(places);
    const options = { format: 'jsonl', compression } as const;
    const shards = await all(formats.input('jsonl').plan(file, options, 500, signal));
    const rows = [];
    for (const shard of shards) {
      rows.push((await all(formats.input('jsonl').read(file, shard, options, signal))).flat());
    }
    expect(rows.length).toBeGreaterThan(4);
    expect(valuesOf(rows)).toEqual(ROWS);
    await formats.close();
    // The length, planning, and reading: a server without ranges sends the file as often, not once a shard.
    if (kind !== 'ranges') expect(requests).toHaveLength(3);
  });

  test('a range is asked for and no more; a connection that breaks is resumed', async () => {
    const file = await one(`${base}/ranges/rows.jsonl`);
    breaks = 3;
    const read = Buffer.concat(await all(places.read(file, { start: 100, end: 9000 }, signal)));
    expect(read.equals(BODY.subarray(100, 9000))).toBe(true);
    expect(requests.map((request) => request.split(' ')[2])).toEqual([
      'bytes=0-0',
      'bytes=100-8999',
      'bytes=1100-8999',
      'bytes=2100-8999',
      'bytes=3100-8999',
    ]);
  });

  test('a look at a file without a length does not read it', async () => {
    // Its body never ends.
    const [file] = await all(places.list([`${base}/stalls/a.csv`], signal, { isLook: true }));
    expect(file).toMatchObject({ url: `${base}/stalls/a.csv`, ranged: false });
  });

  test('time that a reader takes is not time that the server takes', async () => {
    const client = new HttpClient(true, 50);
    const url = new URL(`${base}/plain/rows.jsonl`);
    const reply = await client.request({ method: 'GET', url, headers: {} }, signal);
    const { socket } = reply;
    const chunks: Buffer[] = [];
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      // Twice as long as the server may take.
      for (let n = 0; n < 2 && chunks.length === 1; n += 1) await once(socket, 'timeout');
    }
    expect(Buffer.concat(chunks).equals(BODY)).toBe(true);
    const stalled = await client.request(
      { method: 'GET', url: new URL(`${base}/stalls/a`), headers: {} },
      signal,
    );
    await expect(all(stalled)).rejects.toThrow('sent nothing for 0.05 s');
    client.close();
  });

  test('a file that changed is refused', async () => {
    const file = await one(`${base}/ranges/rows.jsonl`);
    version = 'two';
    await expect(all(places.read(file, { start: 0 }, signal))).rejects.toThrow('another file');
  });

  test.each([
    ['status/404/a.csv', 'is not there (404)'],
    ['status/403/a.csv', 'may not be read'],
    ['status/418/a.csv', 'answered 418'],
    ['to/a?location=file:///etc/passwd', 'is no http:// or https:// address'],
    ['to/a?location=/to/a', 'leads on more than 5 times'],
  ])('%s is told', async (path, reason) => {
    await expect(one(`${base}/${path}`)).rejects.toThrow(reason);
  });

  test('a password in an address is refused, and not told', async () => {
    const asked = one(base.replace('//', '//user:secret@'));
    await expect(asked).rejects.toThrow(/an address with a password/);
    await asked.catch((error: unknown) => expect(String(error)).not.toContain('secret'));
  });
});

describe('private addresses', () => {
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'no address',
  ])('%s is one', (address) => expect(isPrivateAddress(address)).toBe(true));

  test.each(['8.8.8.8', '172.32.0.1', '2606:4700:4700::1111'])('%s is none', (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });

  test.each([
    base,
    base.replace('127.0.0.1', 'localhost'),
    base.replace('127.0.0.1', '[::1]'),
    base.replace('127.0.0.1', '2130706433'),
    base.replace('127.0.0.1', '0x7f.1'),
    base.replace('127.0.0.1', '[::ffff:127.0.0.1]'),
  ])('%s is refused before anything is sent', async (address) => {
    const asked = all(placesWith(false).list([`${address}/ranges/a.csv`], signal));
    await expect(asked).rejects.toThrow('jobs.private_addresses allows it');
    expect(requests).toEqual([]);
  });
});
