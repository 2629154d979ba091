import { afterEach, vi } from 'vitest';
import type { HeldModel, MemoryEffects, WorkerFacts } from '../../../src/memory/effects.js';
import { MemoryManager } from '../../../src/memory/manager.js';
import type { PressureAction } from '../../../src/memory/policy.js';
import type { Receipt } from '../../../src/memory/receipt.js';
import type { ProcessReading } from '../../../src/memory/snapshot.js';

export const GB = 2 ** 30;
const HOT = { shiftMs: 300, savedMsPerRun: 10, privateBytes: 1000, prepackedBytes: 2000 };
/** Stopped after each test. */
export const managers: MemoryManager[] = [];

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.stop();
});

/** A manager over plain effects; the readings are this process's and this machine's real ones. */
export function manage(
  options: {
    lineBytes?: number;
    afterUsers?: number;
    afterAgeMs?: number;
    wanted?: readonly string[];
    models?: readonly string[];
    holding?: readonly HeldModel[];
    workerCount?: number;
    idle?: boolean;
    readChildren?: () => Promise<readonly ProcessReading[]>;
  } = {},
) {
  const line = { bytes: options.lineBytes ?? 1024 * GB };
  const { afterUsers = 50, afterAgeMs = 1e9, wanted = [] } = options;
  const { workerCount = 1 } = options;
  const worker: WorkerFacts = {
    id: 'worker-1',
    idle: options.idle ?? true,
    models: options.models ?? ['a', 'b'],
    ageMs: 10,
    completedBatches: 5,
  };
  let workers = Array.from({ length: workerCount }, (_, at) => ({
    ...worker,
    id: `worker-${at + 1}`,
  }));
  const receipts: Receipt[] = [];
  const held: [PressureAction, boolean][] = [];
  const errors: unknown[] = [];
  const rush = { on: false };
  const effects = {
    workers: () => workers,
    isWanted: (model: string) => wanted.includes(model),
    isRushed: () => rush.on,
    unload: vi.fn(async (model: string) => {
      workers = workers.map((of) => ({ ...of, models: of.models.filter((id) => id !== model) }));
      return [{ worker: 'worker-1', freedBytes: 1000 }];
    }),
    collectWorkers: async () => [{ worker: 'worker-1', freedBytes: 500 }],
    replaceWorker: vi.fn(async () => ({ freedBytes: 2000 })),
    heldModels: (): readonly HeldModel[] => options.holding ?? [],
    shift: vi.fn(async (worker: string) => [{ worker, freedBytes: 0 }]),
    clearCaches: vi.fn(() => 10),
    halveCaches: vi.fn(() => 5),
    clearRedis: vi.fn(async () => [{ freedBytes: 3000, entries: 7 }]),
    hold: (action: PressureAction, on: boolean) => held.push([action, on]),
    keepReceipt: (receipt: Receipt) => receipts.push(receipt),
  } satisfies MemoryEffects;
  const manager = new MemoryManager(
    {
      loadLineBytes: () => line.bytes,
      readChildren: options.readChildren ?? (async () => []),
      onReading: () => undefined,
      readingIntervalMs: 20,
      residencyIntervalMs: options.holding === undefined ? 10_000 : 5,
      settleMs: 0,
      recycleAfterUsers: afterUsers,
      recycleAfterAgeMs: afterAgeMs,
      growthLimitBytes: () => GB,
      heldBytesOf: () => 1000,
      hotGearOf: () => HOT,
      onError: (_line, error) => errors.push(error),
    },
    effects,
  );
  managers.push(manager);
  return { manager, effects, receipts, held, errors, line, rush };
}
