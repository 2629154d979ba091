import { describe, expect, test } from 'vitest';
import { bytesOf, type Classified, RowBuffer } from '../../../src/store/row-buffer.js';
import { type Row, rowOf, sizeOf } from '../../../src/store/rows.js';
import { record } from './databases.js';

function classified(request: number, input: string | null = null): Classified {
  const same = { run: 'run', index: 0, atMs: 17, session: 's', userHash: 'u', model: 'm' };
  return {
    ...same,
    request,
    inputHash: `h${request}`,
    label: 'ham',
    score: 0.5,
    ms: 1.23456,
    ...{ tier: null, input },
  };
}

function rowFor(request: number, input: string | null = null): Row {
  const id = `run.${request.toString(36).padStart(7, '0')}.0000`;
  return rowOf('records', {
    ...{ id, at_ms: 17, session: 's', user_hash: 'u', model: 'm', input_hash: `h${request}` },
    ...{ label: 'ham', score: 0.5, ms: 1.235, tier: null, input },
  });
}

describe('rows that wait in memory', () => {
  test('come out in the order in which they came, whatever they are, over many chunks', () => {
    const buffer = new RowBuffer();
    const expected: Row[] = [];
    let dropped = 0;
    for (let n = 0; n < 3000; n += 1) {
      if (n % 7 === 0) {
        buffer.push(record(`r${n}`));
        expected.push(record(`r${n}`));
      } else {
        buffer.pushClassified(classified(n, n % 5 === 0 ? `text ${n}` : null));
        expected.push(rowFor(n, n % 5 === 0 ? `text ${n}` : null));
      }
      if (n % 300 !== 299) continue;
      expect(buffer.first(290)).toEqual(expected.slice(dropped, dropped + 290));
      buffer.drop(290);
      dropped += 290;
      expect(buffer.length).toBe(n + 1 - dropped);
    }
    expect(buffer.first(5000)).toEqual(expected.slice(dropped));
    buffer.drop(5000);
    expect(buffer.length).toBe(0);
    expect(buffer.first(1)).toEqual([]);
  });

  test('are counted in bytes, each as long as it is there', () => {
    const buffer = new RowBuffer();
    buffer.push(record('r'));
    buffer.pushClassified(classified(1));
    buffer.pushClassified(classified(2, 'x'.repeat(1000)));
    const [row, bare, long] = [sizeOf(record('r')), bytesOf(null), bytesOf('x'.repeat(1000))];
    expect(long).toBeGreaterThan(bare + 2000);
    expect(buffer.bytes).toBe(row + bare + long);
    buffer.drop(1);
    expect(buffer.bytes).toBe(bare + long);
    buffer.drop(2);
    expect(buffer.bytes).toBe(0);
  });

  test('leave nothing behind for the rows that take their place', () => {
    const buffer = new RowBuffer();
    for (let n = 0; n < 256; n += 1) buffer.push(record(`r${n}`));
    buffer.drop(256);
    buffer.pushClassified(classified(1, 'text'));
    buffer.drop(1);
    for (let n = 0; n < 255; n += 1) buffer.pushClassified(classified(n));
    expect(buffer.first(300)).toEqual(Array.from({ length: 255 }, (_, n) => rowFor(n)));
  });
});
