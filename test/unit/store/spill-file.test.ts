import {
  appendFileSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Row } from '../../../src/store/rows.js';
import { SpillFile } from '../../../src/store/spill-file.js';
import { record, temporaryFolder } from './databases.js';

const NO_LIMIT = 2 ** 40;

async function open(file = path.join(temporaryFolder(), 'spill'), maxBytes = NO_LIMIT) {
  const spill = SpillFile.open(file, maxBytes);
  onTestFinished(() => spill.close());
  return { spill, file };
}

function rows(from: number, to: number): readonly Row[] {
  return Array.from({ length: to - from }, (_, index) => record(`r${from + index}`));
}

async function drain(spill: SpillFile, most = 7): Promise<{ rows: Row[]; damaged: number }> {
  const all: Row[] = [];
  let damaged = 0;
  while (spill.waitingBytes > 0) {
    const batch = await spill.read(most);
    all.push(...batch.rows);
    damaged += batch.damaged;
    spill.acknowledge(batch);
  }
  return { rows: all, damaged };
}

describe('the spill file', () => {
  test('gives rows back in their order, once, and is empty then', async () => {
    const { spill, file } = await open();
    spill.append(rows(0, 20));
    const first = await spill.read(7);
    expect(first.rows).toEqual(rows(0, 7));
    expect((await spill.read(7)).rows).toEqual(first.rows);
    spill.acknowledge(first);
    spill.append(rows(20, 25));
    expect(await drain(spill)).toEqual({ rows: rows(7, 25), damaged: 0 });
    expect(statSync(file).size).toBe(0);
    spill.append(rows(0, 2));
    expect((await drain(spill)).rows).toEqual(rows(0, 2));
  });

  test('keeps every value as it was', async () => {
    const { spill } = await open();
    const input = 'ü 😀 "q" \n\r\t\u2028 \uD800 ';
    const odd = record('r', { input, score: 0.1 + 0.2, tier: null, at_ms: 2 ** 52 });
    spill.append([odd]);
    expect((await drain(spill)).rows).toEqual([odd]);
  });

  test('reads rows that are longer than what is read at once', async () => {
    const { spill } = await open();
    const long = record('long', { input: 'ü'.repeat(700_000) });
    spill.append([record('a'), long, record('b'), long]);
    expect((await drain(spill)).rows).toEqual([record('a'), long, record('b'), long]);
  });

  test('is found again after a death, without what was only half written', async () => {
    const first = await open();
    first.spill.append(rows(0, 5));
    appendFileSync(first.file, readFileSync(first.file).subarray(0, 50));
    const { spill } = await open(first.file);
    spill.append(rows(5, 8));
    expect(await drain(spill)).toEqual({ rows: rows(0, 8), damaged: 0 });
  });

  test('of one half line is empty', async () => {
    const file = path.join(temporaryFolder(), 'spill');
    writeFileSync(file, '0123');
    const { spill } = await open(file);
    expect(spill.waitingBytes).toBe(0);
  });

  test('leaves out damaged lines, counts them, and goes on', async () => {
    const first = await open();
    first.spill.append(rows(0, 6));
    const lines = readFileSync(first.file, 'latin1').split('\n');
    lines[1] = lines[1]?.replace('"r1"', '"rX"') ?? '';
    lines[3] = 'nonsense';
    writeFileSync(first.file, lines.join('\n'), 'latin1');
    const { spill } = await open(first.file);
    const left = [...rows(0, 1), ...rows(2, 3), ...rows(4, 6)];
    expect(await drain(spill)).toEqual({ rows: left, damaged: 2 });
  });

  test('that somebody has cut short is not waited for', async () => {
    const { spill, file } = await open();
    spill.append(rows(0, 6));
    truncateSync(file, Math.floor(statSync(file).size / 2) - 3);
    const { rows: left, damaged } = await drain(spill);
    expect(left).toEqual(rows(0, left.length));
    expect(left.length).toBeLessThan(6);
    expect(damaged).toBe(1);
  });

  test('that somebody has deleted is made anew, with the rows that waited', async () => {
    const { spill, file } = await open();
    spill.append(rows(0, 6));
    spill.acknowledge(await spill.read(2));
    rmSync(file);
    // What is read from the deleted file while a new one is made is read again: written twice, not lost.
    const reading = spill.read(2);
    spill.append(rows(6, 8));
    expect(statSync(file).size).toBe(spill.waitingBytes);
    spill.acknowledge(await reading);
    expect(await drain(spill)).toEqual({ rows: rows(2, 8), damaged: 0 });
    const { spill: another } = await open(file);
    expect(another.waitingBytes).toBe(0);
  });

  test('keeps rows that come while the last ones are acknowledged', async () => {
    const { spill } = await open();
    for (let n = 0; n < 50; n += 1) {
      spill.append(rows(n, n + 1));
      const batch = await spill.read(7);
      spill.acknowledge(batch);
      spill.append(rows(n + 100, n + 101));
      expect(await drain(spill)).toEqual({ rows: rows(n + 100, n + 101), damaged: 0 });
    }
  });

  test('takes no more than its limit, and all of a batch or nothing', async () => {
    const { spill, file } = await open(undefined, 1000);
    spill.append(rows(0, 4));
    const { size } = statSync(file);
    expect(() => spill.append(rows(4, 20))).toThrow(/records\.max_spill/);
    expect(statSync(file).size).toBe(size);
    expect((await drain(spill)).rows).toEqual(rows(0, 4));
    spill.append(rows(4, 5));
    expect((await drain(spill)).rows).toEqual(rows(4, 5));
  });
});
