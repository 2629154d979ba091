import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePressure, readCgroupPressure, readPressure } from '../../../src/system/pressure.js';
import { capturedRoot, layOut } from './trees.js';
import { DOCKER_V2 } from './written-trees.js';

const QUIET = { avg10: 0, avg60: 0, avg300: 0, totalMicroseconds: 0 };

test('reads the captured files, of the machine and of a cgroup', async () => {
  const root = capturedRoot('v1-limited');
  expect(await readPressure(root)).toEqual({ some: QUIET, full: QUIET });
  expect(await readCgroupPressure('/sys/fs/cgroup/unified', root)).toEqual({
    some: QUIET,
    full: QUIET,
  });
});

test('reads figures of a machine that waits (captured: io pressure, same form)', () => {
  const text = readFileSync(capturedRoot('v1-limited/proc/pressure/io'), 'utf8');
  const pressure = parsePressure(text);
  expect(pressure?.some.totalMicroseconds).toBe(Number(/total=(\d+)/.exec(text)?.[1]));
  expect(pressure?.some.totalMicroseconds).toBeGreaterThan(1_000_000);
  expect(pressure?.full.avg300).toBe(Number(/full .*avg300=([\d.]+)/.exec(text)?.[1]));
});

test('reads the pressure of a v2 cgroup', async () => {
  expect(await readCgroupPressure('/sys/fs/cgroup', layOut(DOCKER_V2))).toEqual({
    some: { avg10: 1.5, avg60: 0.75, avg300: 0.1, totalMicroseconds: 1234567 },
    full: { avg10: 0.5, avg60: 0.25, avg300: 0.05, totalMicroseconds: 234567 },
  });
});

test('no file, or one that cannot be read: no pressure', async () => {
  const root = layOut();
  expect(await readPressure(root)).toBeUndefined();
  // With psi=0 the file is there and the read fails; reading a folder fails the same way.
  mkdirSync(join(root, 'proc/pressure/memory'), { recursive: true });
  expect(await readPressure(root)).toBeUndefined();
});

test('takes any text without throwing', () => {
  const line = fc.constantFrom(
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=7',
    'full avg10=99.99 avg60=1.00 avg300=0.10 total=18446744073709551615',
    'full avg10=-1 avg60=x avg300=0 total=',
    'some',
  );
  const lines = fc.array(line).map((parts) => parts.join('\n'));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), lines), (text) => {
      const pressure = parsePressure(text);
      const percents = [pressure?.some, pressure?.full].map((part) => part?.avg10 ?? 0);
      for (const percent of percents) expect(percent >= 0 && percent <= 100).toBe(true);
    }),
  );
});
