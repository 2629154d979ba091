import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { JobRequest } from '../../../../src/contract/jobs.js';
import { Places } from '../../../../src/jobs/files/places.js';
import { Formats } from '../../../../src/jobs/formats/formats.js';
import { JobFailure, NotNow } from '../../../../src/jobs/queue/queue.js';
import { planPieces } from '../../../../src/jobs/run/planning.js';
import { builtThread } from '../built-thread.js';
import { all, localPlaces, signal, temporaryFolder } from '../reading.js';

const folder = await temporaryFolder();
const places = localPlaces();
const formats = new Formats(places, await builtThread(folder));
const LINES = Array.from({ length: 1000 }, (_, n) =>
  JSON.stringify({ text: `mail ${n} `.repeat(9) }),
);

async function plan(request: Pick<JobRequest, 'input'>) {
  const pieces = planPieces(
    { output: folder, shard_rows: 300, ...request },
    { places, formats },
    signal,
  );
  const found = await all(pieces);
  const shards = found.flatMap((piece) => piece.shards);
  return { shards, files: found.at(-1)?.files };
}

async function files(name: string, contents: Readonly<Record<string, string | Uint8Array>>) {
  const of = path.join(folder, name);
  await mkdir(of);
  for (const [file, content] of Object.entries(contents))
    await writeFile(path.join(of, file), content);
  return of;
}

test('files without rows are no shards, and no failures', async () => {
  const of = await files('empty', {
    ...{ 'a.csv': '', 'b.csv': 'id,text\n', 'c.jsonl': '', 'd.csv.gz': '', 'e.parquet': '' },
    ...{ 'f.csv.gz': gzipSync('id,text\n'), 'g.jsonl.gz': gzipSync(''), 'h.tsv': 'id\ttext' },
    ...{ 'i.csv.gz': gzipSync(''), 'j.csv': '\ufeff', 'k.csv': '\n', 'l.tsv': '\ufeff\r\n\r\n' },
    ...{ 'm.csv.gz': gzipSync('\ufeff\n'), 'n.jsonl': '\ufeff\n', 'o.jsonl': ' \n\n' },
  });
  expect(await plan({ input: of })).toEqual({ shards: [], files: 15 });
});

test('files that cannot be cut are noted with their reason, and the others are planned', async () => {
  const parquet = await readFile(
    new URL('../../../fixtures/parquet/mails-none.parquet', import.meta.url),
  );
  const packed = gzipSync(LINES.join('\n'));
  const of = await files('broken', {
    'a-good.jsonl': LINES.slice(0, 10).join('\n'),
    'b-no-column.csv': 'id,mail\n1,hello\n',
    'c-cut.jsonl.gz': packed.subarray(0, packed.length - 20),
    'd-cut.parquet': parquet.subarray(0, parquet.length - 9),
    'e-good.csv': 'text\nhello\n',
  });
  const { shards } = await plan({ input: of });
  expect(shards.map(({ index }) => index)).toEqual(shards.map((_, n) => n));
  const told = shards.map(({ file, failed, range }) => [
    path.basename(file.url),
    range.unit,
    failed ?? '',
  ]);
  expect(told.filter(([, , failed]) => failed === '').map(([name]) => name)).toEqual(
    expect.arrayContaining(['a-good.jsonl', 'e-good.csv']),
  );
  const reasons = new Map(
    told.filter(([, , failed]) => failed !== '').map(([name, , failed]) => [name, failed]),
  );
  expect([...reasons.keys()]).toEqual(['b-no-column.csv', 'c-cut.jsonl.gz', 'd-cut.parquet']);
  expect(reasons.get('b-no-column.csv')).toMatch(/has no column "text"; it has id, mail/);
  // What was cut before the break stays; the shard that failed is the rest.
  const cut = shards.filter(({ file }) => file.url.endsWith('c-cut.jsonl.gz'));
  expect(cut.at(-1)?.range.start).toBe(cut.at(-2)?.range.end ?? 0);
  expect(cut.filter(({ failed }) => failed !== undefined)).toHaveLength(1);
});

test('a pattern that names nothing is noted where there are others, and fails the job alone', async () => {
  const of = await files('some', { 'a.jsonl': '{"text":"a"}' });
  const missing = path.join(of, 'none-*.jsonl');
  const { shards } = await plan({ input: [missing, of, path.join(of, '*.jsonl')] });
  expect(shards.map(({ file, failed }) => [file.url, failed !== undefined])).toEqual([
    [missing, true],
    [path.join(of, 'a.jsonl'), false],
  ]);
  const failure = await plan({ input: missing }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(JobFailure);
  expect(failure).toMatchObject({ plansAnew: true });
});

test('a server that is away is no failure: planning waits', async () => {
  const closed = 's3://bucket/*.jsonl';
  const nobody = new Places({
    s3: { endpoint: 'http://127.0.0.1:9', region: 'us-east-1' },
    ...{ folders: [], privateAddresses: false },
  });
  const pieces = planPieces({ input: closed, output: folder }, { places: nobody, formats }, signal);
  const failure = await all(pieces).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(NotNow);
  expect(failure).toMatchObject({ kind: 'outage' });
});
