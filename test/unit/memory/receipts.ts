import type { Receipt } from '../../../src/memory/receipt.js';
import type { SnapshotFigures } from '../../../src/memory/snapshot.js';

const MB = 2 ** 20;

export function figures(usedMb: number, privateMb: number): SnapshotFigures {
  return {
    serverTotalBytes: 8000 * MB,
    serverUsedBytes: usedMb * MB,
    serverPercent: usedMb / 80,
    privateBytes: privateMb * MB,
    pssBytes: (privateMb + 10) * MB,
  };
}

export function receipt(changes: Partial<Receipt> = {}): Receipt {
  return {
    id: 'r_1',
    kind: 'cleanup',
    cause: 'session idle',
    session: 's_1',
    startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    durationMs: 12.345678,
    before: figures(1000, 200),
    after: figures(900, 120),
    actions: [],
    ...changes,
  };
}
