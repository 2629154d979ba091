import { expect, test } from 'vitest';
import { PullMeter } from '../../../../src/models/pull/pull-meter.js';

test('adds up files; the rate is of what came over the network in the last seconds', () => {
  let now = 0;
  const meter = new PullMeter(() => now);
  expect(meter.figures).toMatchObject({ doneBytes: 0, totalBytes: undefined, filesDone: 0 });
  meter.take({ kind: 'listed', files: 2, commit: 'c', totalBytes: 2000 });
  meter.take({ kind: 'file-done', file: 'a', bytes: 500, fromCache: true });
  // What an earlier attempt has left is there, and did not come now.
  meter.take({ kind: 'bytes', file: 'b', bytes: 700, totalBytes: 1500 });
  expect(meter.figures).toMatchObject({ doneBytes: 1200, filesDone: 1, bytesPerSecond: undefined });
  meter.take({ kind: 'bytes', file: 'b', bytes: 800, totalBytes: 1500 });
  now = 1000;
  meter.take({ kind: 'bytes', file: 'b', bytes: 1100, totalBytes: 1500 });
  expect(meter.figures).toMatchObject({ doneBytes: 1600, bytesPerSecond: 300 });
  // Nothing comes any more: the rate falls, and does not stay what it was.
  now = 3000;
  expect(meter.figures.bytesPerSecond).toBe(100);
  now = 9000;
  expect(meter.figures.bytesPerSecond).toBe(0);
  meter.take({ kind: 'file-done', file: 'b', bytes: 1500, fromCache: false });
  expect(meter.figures).toMatchObject({ doneBytes: 2000, filesDone: 2, filesTotal: 2 });
});
