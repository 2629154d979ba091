import type { Receipt } from '../../contract/receipts.js';
import type { WorkerView } from '../../contract/state/workers.js';
import { toMbOrNull } from '../../contract/units.js';
import { PlimsollError } from '../../errors.js';
import type { WorkerPool } from '../../inference/workers/pool.js';
import type { MemoryManager } from '../../memory/manager.js';
import { shownReceipt } from '../../memory/receipt.js';

/** The workers as callers see them, and what replaces one. */
export class WorkerViews {
  readonly #pool: WorkerPool;
  readonly #memory: MemoryManager;

  constructor(pool: WorkerPool, memory: MemoryManager) {
    this.#pool = pool;
    this.#memory = memory;
  }

  /** Every worker that has a process, the oldest first; memory is that of the last reading. */
  list(): readonly WorkerView[] {
    const processes = this.#memory.reader.last?.processes ?? [];
    const nowMs = Date.now();
    return this.#pool.workers.map((worker) => ({
      id: worker.id,
      pid: worker.pid ?? null,
      state: worker.state,
      busy: worker.running !== undefined,
      age_s: Math.max(0, Math.round((nowMs - worker.startedAtMs) / 1000)),
      users_since_recycle: worker.users,
      private_mb: toMbOrNull(processes.find((of) => of.worker === worker.id)?.memory.privateBytes),
      models: [...worker.loaded.keys()],
    }));
  }

  /**
   * Replaces the worker; its running batch is finished first.
   *
   * @throws PlimsollError WORKER_NOT_FOUND, RECYCLE_RUNNING
   */
  async recycle(id: string): Promise<Receipt> {
    const worker = this.#pool.find(id);
    if (worker === undefined) {
      const names = this.#pool.workers.map((of) => of.id).join(', ') || 'none';
      const message = `there is no worker "${id.slice(0, 100)}"; there is ${names}`;
      throw new PlimsollError('WORKER_NOT_FOUND', message);
    }
    if (worker.state !== 'ready') {
      const message = `${id} is ${worker.state}; only a worker that is ready can be replaced`;
      throw new PlimsollError('RECYCLE_RUNNING', message, { retryAfterSeconds: 1 });
    }
    return shownReceipt(await this.#memory.recycleWorker(id));
  }
}
