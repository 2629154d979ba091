import { expect, test } from 'vitest';
import { FILE_FORMATS, type JobRequest } from '../../../../src/contract/jobs.js';
import type { FileRef } from '../../../../src/jobs/files/place.js';
import type { Columns } from '../../../../src/jobs/formats/format.js';
import { encode } from '../../../../src/jobs/formats/writing/encode.js';
import { askedTask } from '../../../../src/jobs/run/asked.js';
import {
  assertNamesApart,
  inputOptionsOf,
  outputOptionsOf,
  partFormat,
  partRows,
  withFormat,
} from '../../../../src/jobs/run/part.js';

const request: JobRequest = { input: 'mails', output: 'out', model: 'spam' };
const file = (url: string): FileRef => ({ url, bytes: 1, version: '1' });
const apart = (asked: Partial<JobRequest>, own: 'text-classification' | 'token-classification') => {
  const job = { ...request, ...asked };
  assertNamesApart(job, askedTask(job, own));
};

test.each([
  [{ keep: ['label'] }, 'text-classification'],
  [{ id: 'score' }, 'text-classification'],
  [{ keep: ['a', 'scores'], all_scores: true }, 'text-classification'],
  [{ keep: ['entities'] }, 'token-classification'],
  [{ id: 'model' }, 'token-classification'],
  [{ keep: ['commit'] }, 'text-classification'],
  [{ keep: ['dtype'] }, 'text-classification'],
  [{ id: 'id', keep: ['error'] }, 'text-classification'],
] as const)('%o: a kept column is not one of the answer', (asked, own) => {
  expect(() => apart(asked, own)).toThrow('the parts have a column of that name themselves');
});

test('names that this task does not write are kept; none is named twice', () => {
  apart({ keep: ['scores', 'entities', 'text'], id: 'id' }, 'text-classification');
  apart({ keep: ['label', 'score'] }, 'token-classification');
  apart({ id: 'id', keep: ['id'] }, 'text-classification');
  expect(() => apart({ keep: ['a', 'b', 'a'] }, 'text-classification')).toThrow('"a" twice');
});

test('all parts of a job have the format of its first file', () => {
  const job = withFormat(request, file('/in/a.csv.gz'));
  for (const url of ['/in/a.csv.gz', '/in/b.jsonl', '/in/c.parquet']) {
    expect(partFormat(job, file(url))).toEqual({ format: 'csv', compression: 'none' });
  }
  for (const format of FILE_FORMATS) {
    const asked = withFormat({ ...request, format }, file('/in/a.csv'));
    expect(partFormat(asked, file('/in/a.csv')).format).toBe(format);
  }
});

test('a column has the type that its file declares, else it is a text', () => {
  const job = { ...request, id: 'n', keep: ['x', 'y'] };
  const task = askedTask(job, 'text-classification');
  const types = new Map([['n', 'integer'] as const, ['x', 'flag'] as const]);
  const { columns } = outputOptionsOf(job, file('/in/a.parquet'), task, types);
  expect(columns.slice(0, 3)).toEqual([
    { name: 'n', type: 'integer' },
    { name: 'x', type: 'flag' },
    { name: 'y', type: 'text' },
  ]);
});

test('packed Parquet is refused with the reason, however it is named', () => {
  const reason = 'cannot be read by ranges: unpack it first';
  expect(() => inputOptionsOf(request, file('/in/a.parquet.gz'))).toThrow(reason);
  const asked = { ...request, input_format: 'parquet' } as const;
  for (const url of ['/in/a.parquet.gz', '/in/a.parquet.zst', '/in/a.gz', '/in/a.csv.gz']) {
    expect(() => inputOptionsOf(asked, file(url))).toThrow(reason);
  }
  expect(inputOptionsOf(asked, file('/in/a')).format).toBe('parquet');
});

test('what follows the path of an address says nothing of the file', () => {
  const asked = { ...request, input_format: 'jsonl' } as const;
  const compressions = [
    ['https://host/mails.gz?X-Amz-Signature=abc', 'gzip'],
    ['http://host/mails.zst#top', 'zstd'],
    ['https://host/mails?name=mails.gz', 'none'],
    ['s3://bucket/mails?1.gz', 'gzip'],
    ['/in/mails#1.gz', 'gzip'],
  ];
  for (const [url = '', compression] of compressions) {
    expect(inputOptionsOf(asked, file(url)), url).toMatchObject({ format: 'jsonl', compression });
  }
  const reason = 'cannot be read by ranges: unpack it first';
  expect(() => inputOptionsOf(request, file('https://host/a.parquet.gz?sig=a/b'))).toThrow(reason);
  expect(() => inputOptionsOf(asked, file('https://host/a.parquet.gz?sig=a/b'))).toThrow(reason);
});

test('a row whose text is none keeps the columns that are kept', () => {
  const job = { ...request, id: 'id' };
  const row = { at: 3, columns: { id: 7, text: '//5B' }, bad: 'text is not UTF-8' };
  const rowOf = partRows(job, askedTask(job, 'text-classification'), {
    ...{ id: 'm', commit: null, dtype: 'fp32' },
  });
  expect(rowOf({ row, bad: row.bad })).toMatchObject({
    ...{ id: 7, label: null, error: 'row 3 of this part: text is not UTF-8' },
  });
  expect(inputOptionsOf({ ...job, text_pair: 'b' }, file('/in/a.csv'))).toMatchObject({
    ...{ columns: ['text', 'b', 'id'], texts: ['text', 'b'] },
  });
});

test('a column may have any name, that of a prototype too', async () => {
  const job = { ...request, id: '__proto__', keep: ['constructor'] };
  const task = askedTask(job, 'text-classification');
  const columns: Columns = JSON.parse('{"__proto__":{"a":1},"constructor":"c","text":"t"}');
  const rowOf = partRows(job, task, { id: 'm', commit: null, dtype: 'fp32' });
  const rows = [
    rowOf({ row: { at: 0, columns }, answer: { label: 'ham', score: 1 } }),
    rowOf({ row: { at: 1, bad: 'broken' }, bad: 'broken' }),
  ];
  const options = outputOptionsOf(job, file('/in/a.jsonl'), task, new Map());
  const slices = (async function* () {
    yield rows;
  })();
  let text = '';
  for await (const chunk of encode(slices, options)) text += Buffer.from(chunk).toString();
  expect(text).toBe(
    '{"__proto__":{"a":1},"constructor":"c","label":"ham","score":1,"model":"m","commit":null,"dtype":"fp32","error":null}\n' +
      '{"__proto__":null,"constructor":null,"label":null,"score":null,"model":"m","commit":null,"dtype":"fp32","error":"row 1 of this part: broken"}\n',
  );
});
