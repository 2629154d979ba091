import { describe, expect, it } from 'vitest';
import { ModelLedger } from '../../../src/memory/model-ledger.js';
import { ProcessRing } from '../../../src/memory/process-ring.js';
import { ReadingRing } from '../../../src/memory/ring.js';
import type { MemorySnapshot, ProcessReading } from '../../../src/memory/snapshot.js';

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

describe('the ring of readings by process', () => {
  const MB = 2 ** 20;
  const process = (role: 'main' | 'worker' | 'preparer', pid: number, worker?: string) => ({
    role,
    pid,
    ...(worker === undefined ? {} : { worker }),
    memory: { privateBytes: pid * MB, pssBytes: (pid + 3) * MB } as ProcessReading['memory'],
  });
  const snapshot = (atMs: number, processes: readonly ProcessReading[]): MemorySnapshot => ({
    atMs,
    system: {} as MemorySnapshot['system'],
    processes,
  });
  const moment = (name: string, mb: number, sharedMb = 3) => ({
    name,
    privateBytes: mb * MB,
    sharedBytes: sharedMb * MB,
  });

  it('keeps the newest, oldest first, each with its processes', () => {
    const ring = new ProcessRing(2);
    expect(ring.since(0)).toEqual([]);
    const main = process('main', 7);
    ring.push(snapshot(1, [main]));
    ring.push(snapshot(2, [main, process('worker', 9, 'worker-12')]));
    ring.push(snapshot(3, [main, process('preparer', 4_000_001)]));
    expect(ring.since(0)).toEqual([
      { atMs: 2, processes: [moment('main', 7), moment('worker-12', 9)] },
      { atMs: 3, processes: [moment('main', 7), moment('preparer-4000001', 4_000_001)] },
    ]);
    expect(ring.since(3)).toHaveLength(1);
  });

  it('keeps together what has no slot of its own', () => {
    const ring = new ProcessRing(1);
    const workers = Array.from({ length: 14 }, (_, n) => process('worker', n, `worker-${n}`));
    ring.push(snapshot(1, workers));
    const [reading] = ring.since(0);
    expect(reading?.processes).toHaveLength(12);
    expect(reading?.processes.at(-1)).toEqual(moment('others', 11 + 12 + 13, 9));
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
