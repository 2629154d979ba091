/** Dispatchers over real processes, for tests. */
import { onTestFinished } from 'vitest';
import { Dispatcher } from '../../../src/inference/dispatcher.js';
import type { BatchFacts, DispatcherOptions } from '../../../src/inference/dispatcher-options.js';
import type { Answer } from '../../../src/inference/requests.js';
import { type PoolOptions, WorkerPool } from '../../../src/inference/workers/pool.js';
import { LoadAdmission } from '../../../src/memory/admission.js';
import type { ReadyModel } from '../../../src/models/library.js';
import { aModel, plainFindings } from '../models/described.js';
import { fixture } from './workers/workers.js';

const LONG_MS = 60_000;

interface Parts {
  readonly pool: WorkerPool;
  readonly dispatcher: Dispatcher;
  readonly batches: BatchFacts[];
  readonly loads: string[];
}

/** A dispatcher with two echo workers; they end with the test. */
export async function start(
  changes: Partial<DispatcherOptions> = {},
  poolChanges: Partial<PoolOptions> = {},
): Promise<Parts> {
  const batches: BatchFacts[] = [];
  const loads: string[] = [];
  const pool: WorkerPool = new WorkerPool({
    count: 2,
    module: fixture('echo'),
    startTimeoutMs: LONG_MS,
    restartBackoffMs: 1,
    graceMs: LONG_MS,
    onChange: () => dispatcher.pump(),
    onDeath: () => undefined,
    log: () => undefined,
    ...poolChanges,
  });
  const dispatcher = new Dispatcher({
    pool,
    limits: { maxItems: 4, maxSize: 100_000 },
    threads: 1,
    maxWaiting: 100,
    maxWaitingOfUser: 100,
    deadlineMs: LONG_MS,
    batchTimeoutMs: LONG_MS,
    admission: roomy(),
    onArrival: () => undefined,
    onBatch: (facts) => batches.push(facts),
    onLoad: (model, worker) => loads.push(`${model} in ${worker.id}`),
    ...changes,
  });
  onTestFinished(async () => {
    for (const worker of pool.workers) worker.kill();
    await pool.stop();
  });
  await pool.start();
  return { pool, dispatcher, batches, loads };
}

/** Admission with room for everything. */
function roomy(): LoadAdmission {
  return new LoadAdmission({
    figures: () => ({ loadBytes: 0, lineBytes: Number.MAX_SAFE_INTEGER }),
    makeRoom: async () => undefined,
  });
}

export function model(id = 'm', graphFile = 'form/model.onnx', digest = 'digest-1'): ReadyModel {
  return {
    model: aModel(id),
    form: {
      ...{ directory: 'form', graphFile, digest, findings: plainFindings() },
      ...{ instance: digest, files: [] },
      footprint: { sourceBytes: 1, mappedBytes: 1, prepackedBytes: 0 },
    },
  };
}

export const never = () => new AbortController();

export function numbers(answer: Answer): readonly (number | undefined)[] {
  return answer.rows.map(({ scores }) => scores[0]);
}

export function processesOf(answer: Answer): ReadonlySet<number | undefined> {
  return new Set(answer.rows.map(({ scores }) => scores[1]));
}
