import type { MemoryTier } from '../cache/memory-tier.js';
import type { RedisTier } from '../cache/redis-tier.js';
import { isOnSameMachine } from '../cache/same-machine.js';
import { messageOf } from '../errors.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import { shiftGear } from '../inference/shift.js';
import type { WorkerPool } from '../inference/workers/pool.js';
import type { Worker } from '../inference/workers/worker.js';
import type { MemoryEffects, StepOutcome } from '../memory/effects.js';
import type { PressureAction } from '../memory/policy.js';
import { freedPrivateBytes, type Receipt } from '../memory/receipt.js';
import type { ProcessReading } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Preparer } from '../models/compile/preparer.js';
import type { ModelLibrary } from '../models/library.js';
import { receiptMarks } from '../page/marks.js';
import type { EventPublisher } from '../page/publisher.js';
import type { Config } from '../settings/config.js';
import { readProcessMemory } from '../system/process-memory.js';
import type { Archive } from './archive/archive.js';
import type { Logger } from './log.js';
import { receiptLines } from './receipt-lines.js';

/** Batches are this many times smaller while memory is short. */
const SMALLER_BATCHES = 4;
/** A model that was used within this time is warmed up in the worker's replacement. */
const IN_USE_WITHIN_MS = 1000;
/** More waiting inputs for each worker are a rush; a session of eight users is not. */
const RUSH_INPUTS_PER_WORKER = 16;
/** A shift that has not ended by then has hung: it takes some hundred milliseconds. */
const SHIFT_TIMEOUT_MS = 60_000;
/** Longest wait of pressure relief for Redis; the rest is removed the next time. */
const CLEAR_REDIS_MS = 5000;

/** The parts it acts on. Read when an effect is called, because they are built after it. */
export interface ActedOn {
  readonly pool: WorkerPool;
  readonly dispatcher: Dispatcher;
  readonly cache: MemoryTier;
  readonly redis: RedisTier | undefined;
  readonly archive: Archive;
  readonly events: EventPublisher;
  readonly library: ModelLibrary;
}

interface Given {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** The memory manager's effects on the real parts. */
export function memoryEffects(parts: ActedOn, given: Given): MemoryEffects {
  const { metrics } = given;
  return {
    workers: () =>
      parts.pool.workers
        .filter(({ state }) => state === 'ready')
        .map((worker) => ({
          id: worker.id,
          idle: worker.idle,
          models: [...worker.loaded.keys()],
          ageMs: Date.now() - worker.startedAtMs,
          completedBatches: worker.completedBatches,
        })),
    isWanted: (model) => parts.dispatcher.isWanted(model),
    isRushed: () =>
      parts.dispatcher.waitingCount > RUSH_INPUTS_PER_WORKER * parts.pool.workers.length,
    unload: async (model) => {
      const released = await parts.dispatcher.unload(model);
      metrics.modelUnloads.inc({ model }, released.length);
      return released;
    },
    collectWorkers: async () => {
      const idle = parts.pool.workers.filter((worker) => worker.idle);
      const outcomes = await Promise.allSettled(
        idle.map(async (worker) => ({ ...(await worker.collect()), worker: worker.id })),
      );
      return outcomes.flatMap((of) => (of.status === 'fulfilled' ? [of.value] : []));
    },
    replaceWorker: (id, order, hot) => replaceWorker(parts, given, id, order, hot),
    heldModels: () =>
      parts.pool.workers
        .filter(({ state }) => state === 'ready')
        .flatMap((worker) =>
          [...worker.loaded].map(([model, { gear, batches }]) => ({
            ...{ worker: worker.id, model, gear, batches },
          })),
        ),
    shift: async (id, model) => {
      const timeoutMs = SHIFT_TIMEOUT_MS;
      const result = await shiftGear(parts, id, model, timeoutMs);
      return result === undefined ? [] : [{ ...result, worker: id }];
    },
    clearCaches: () => parts.cache.clear(),
    halveCaches: () => parts.cache.shrinkTo(parts.cache.figures.bytes / 2),
    clearRedis: () => clearRedis(parts, given),
    hold: (action, on) => hold(parts, given, action, on),
    keepReceipt: (receipt) => keepReceipt(parts, given, receipt),
  };
}

/** Reads the memory of every child process. */
export async function readChildren(
  pool: WorkerPool,
  preparer: Preparer,
): Promise<readonly ProcessReading[]> {
  const workers = pool.workers.map(async (worker) => {
    const memory = await worker.readMemory();
    const { pid, id } = worker;
    return memory && pid !== undefined
      ? [{ role: 'worker' as const, worker: id, pid, memory }]
      : [];
  });
  const preparers = preparer.pids.map(async (pid) => {
    const memory = await readProcessMemory(pid);
    return memory ? [{ role: 'preparer' as const, pid, memory }] : [];
  });
  return (await Promise.all([...workers, ...preparers])).flat();
}

async function replaceWorker(
  parts: ActedOn,
  { metrics }: Given,
  id: string,
  order: 'start first' | 'leave first',
  hot: string | undefined,
) {
  const { pool, dispatcher, library } = parts;
  const old = pool.find(id);
  if (old === undefined) return { freedBytes: 0 };
  const before = (await old.readMemory())?.privateBytes ?? 0;
  // It died meanwhile, and the pool has started another one.
  if (old.state === 'gone') return { freedBytes: before };
  // Models in use are opened in the new worker, in their gear, before it takes over, so that no request waits.
  const warmUp = async (fresh: Worker) => {
    const since = Date.now() - IN_USE_WITHIN_MS;
    for (const [model, { lastUsedAtMs, gear }] of old.loaded) {
      if (lastUsedAtMs < since) continue;
      const ready = await library.ready(model);
      // A cleanup that has unloaded the model meanwhile must not find a new copy of it.
      if (!old.loaded.has(model)) continue;
      const wanted = model === hot ? 'hot' : gear;
      await dispatcher.warm(fresh, ready, wanted).catch((error: unknown) => {
        if (wanted === 'cold' || fresh.state === 'gone') throw error;
        return dispatcher.warm(fresh, ready);
      });
    }
  };
  const models = [...old.loaded.keys()];
  const fresh = await pool.replace(old, order, warmUp);
  metrics.workersRecycled.inc();
  for (const model of models) metrics.modelUnloads.inc({ model });
  return { freedBytes: before - ((await fresh.readMemory())?.privateBytes ?? 0) };
}

/** Clearing Redis helps only if it runs on the same machine, unless the operator says otherwise. */
async function clearRedis(
  { redis }: ActedOn,
  { config, log }: Given,
): Promise<readonly StepOutcome[]> {
  const when = config['cache.clear_redis_on_pressure'];
  if (redis === undefined || when === 'never') return [];
  if (when === 'local' && !isOnSameMachine(new URL(config['redis.url']))) return [];
  try {
    const { entries, bytes } = await redis.remove(CLEAR_REDIS_MS);
    return [{ freedBytes: bytes, entries }];
  } catch (error) {
    log.warn({ reason: messageOf(error) }, 'our keys in Redis were not removed');
    return [];
  }
}

/** Applies the size of batches; refusals are checked where requests and sessions enter. */
function hold(parts: ActedOn, given: Given, action: PressureAction, on: boolean): void {
  const line = on ? 'memory is short: this holds until it falls' : 'no longer held';
  given.log.warn({ action }, line);
  parts.archive.keepEvent({ kind: 'pressure', text: `${action}: ${line}` });
  if (action !== 'smaller_batches') return;
  const most = given.config['batch.max_items'];
  parts.dispatcher.setMaxItems(on ? Math.ceil(most / SMALLER_BATCHES) : most);
}

function keepReceipt(parts: ActedOn, { metrics, log }: Given, receipt: Receipt): void {
  const { kind } = receipt;
  if (kind === 'cleanup') metrics.cleanups.inc();
  if (kind === 'recycle') metrics.recycles.inc();
  metrics.receiptSeconds.observe({ kind }, receipt.durationMs / 1000);
  metrics.freedBytes.inc({ kind }, Math.max(0, freedPrivateBytes(receipt)));
  for (const line of receiptLines(receipt)) log.info({ receipt: receipt.id }, line);
  parts.archive.keepReceipt(receipt);
  for (const mark of receiptMarks(receipt)) {
    parts.events.mark(mark);
    parts.archive.keepEvent(mark);
  }
}
