import { describe, expect, it } from 'vitest';
import { ModelLedger } from '../../../src/memory/model-ledger.js';
import { ReadingRing } from '../../../src/memory/ring.js';

describe('the ledger of models', () => {
  it('learns the gap between requests, and takes a burst for one', () => {
    let now = 0;
    const ledger = new ModelLedger(() => now);
    expect(ledger.expectedGapMs('m')).toBeUndefined();
    expect(ledger.idleMs('m')).toBe(Number.POSITIVE_INFINITY);
    ledger.arrived('m');
    for (const at of [1000, 1001, 1002, 2000]) {
      now = at;
      ledger.arrived('m');
    }
    expect(ledger.expectedGapMs('m')).toBeCloseTo(999.4, 0);
    now = 2500;
    expect(ledger.idleMs('m')).toBe(500);
  });

  it('follows a change of pace', () => {
    let now = 0;
    const ledger = new ModelLedger(() => now);
    for (let request = 0; request < 10; request += 1) {
      now += 100;
      ledger.arrived('m');
    }
    for (let request = 0; request < 10; request += 1) {
      now += 10_000;
      ledger.arrived('m');
    }
    expect(ledger.expectedGapMs('m')).toBeGreaterThan(9000);
  });

  it('knows when the last request came; opening alone is no use of it', () => {
    const ledger = new ModelLedger(() => 0);
    ledger.loaded('m', 10);
    expect(ledger.lastUsedAtMs('m')).toBeNull();
    expect(ledger.lastUsedAtMs('other')).toBeNull();
    const before = Date.now();
    ledger.arrived('m');
    expect(ledger.lastUsedAtMs('m')).toBeGreaterThanOrEqual(before);
  });

  it('learns the reload time', () => {
    const ledger = new ModelLedger(() => 0);
    ledger.loaded('m', 10);
    ledger.loaded('m', 20);
    expect(ledger.reloadMs('m')).toBeCloseTo(13);
    expect(ledger.reloadMs('other')).toBeUndefined();
  });
});

describe('the ring of readings', () => {
  const reading = (atMs: number) => ({
    atMs,
    serverUsedBytes: atMs + 1,
    serverTotalBytes: atMs + 2,
    loadLineBytes: atMs + 3,
    privateBytes: atMs + 4,
    pssBytes: atMs + 5,
    pressure: 1,
  });

  it('keeps the newest, oldest first, with every field', () => {
    const ring = new ReadingRing(3);
    expect(ring.since(0)).toEqual([]);
    for (const at of [1, 2, 3, 4, 5]) ring.push(reading(at));
    expect(ring.since(0)).toEqual([reading(3), reading(4), reading(5)]);
    expect(ring.since(5)).toEqual([reading(5)]);
  });
});
