import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Places } from '../../../../src/jobs/files/places.js';
import { MotoServer } from '../../../servers/s3.js';
import { pythonS3 } from '../../../servers/tools.js';
import { all, signal } from '../reading.js';

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const chunksOf = async function* (...chunks: (string | Buffer)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
};

describe.skipIf(pythonS3 === undefined)('S3 as moto has it (needs Python)', () => {
  let server: MotoServer;
  let places: Places;

  beforeAll(async () => {
    server = await MotoServer.start(pythonS3);
    const s3 = {
      endpoint: server.endpoint,
      region: 'us-east-1',
      accessKeyId: 'any',
      secretAccessKey: 'any',
    };
    places = new Places({ s3, folders: [], privateAddresses: false });
    await fetch(`${server.endpoint}/bucket`, { method: 'PUT' });
  }, 60_000);
  afterAll(async () => {
    await places.close();
    await server.stop();
  });

  test('parts are written once, listed over pages, and read by ranges', async () => {
    const writer = places.writer('s3://bucket/out put/x+y');
    for (let n = 0; n < 5; n += 1)
      await writer.write(`part-${n}.jsonl`, chunksOf(`{"n":${n}}`), signal);
    const again = await writer.write('part-3.jsonl', chunksOf('other'), signal);
    expect(again).toMatchObject({ bytes: 7, sha256: sha256('{"n":3}') });
    const found = await all(
      places.list(['s3://bucket/**/part-[1-3].jsonl', 's3://bucket/out put/'], signal),
    );
    expect(found.map(({ url }) => url)).toEqual(
      [1, 2, 3, 0, 4].map((n) => `s3://bucket/out put/x+y/part-${n}.jsonl`),
    );
    const [file] = found;
    if (file === undefined) throw new Error('none');
    const read = await all(places.read(file, { start: 1, end: 4 }, signal));
    expect(Buffer.concat(read).toString()).toBe('"n"');
    await writer.replace('part-1.jsonl', chunksOf('new'), signal);
    await expect(all(places.read(file, { start: 0 }, signal))).rejects.toThrow('another file');
    await expect(all(places.list(['s3://bucket/none/*'], signal))).rejects.toThrow(
      'no file matches',
    );
    await expect(all(places.list(['s3://none/*'], signal))).rejects.toThrow(
      'there is no such bucket',
    );
  });

  test('a long part is sent in pieces', async () => {
    const big = Buffer.alloc(10 * 1024 * 1024, 'plimsoll');
    const writer = places.writer('s3://bucket/long');
    const first = await writer.write('part-1.csv', chunksOf(big), signal);
    expect(first).toMatchObject({ bytes: big.length, sha256: sha256(big) });
    expect(await writer.write('part-1.csv', chunksOf(big), signal)).toEqual(first);
    expect(await writer.tidy(signal)).toBe(0);
  });
});
