/** One input that waits. */
export interface WaitingRow {
  readonly model: string;
  /** Characters of it that the model can take in: a guess at what it costs to run. */
  readonly size: number;
  /** Place in the order of arrival; a retried row keeps its place. */
  readonly order: number;
  /** It runs in a batch of its own: batches that it was in have ended their workers. */
  readonly alone?: boolean;
}

/** A worker as the scheduler sees it. */
export interface WorkerView {
  readonly id: string;
  readonly idle: boolean;
  /** Models that it holds open. */
  readonly models: ReadonlySet<string> | ReadonlyMap<string, unknown>;
}

export interface BatchLimits {
  /** Inputs of one batch. */
  readonly maxItems: number;
  /** Inputs × size of the longest: what is computed once all are padded to it. */
  readonly maxSize: number;
}

/** These rows run together on that worker. */
export interface Dispatch<R extends WaitingRow> {
  readonly worker: string;
  readonly model: string;
  readonly rows: readonly R[];
}

/**
 * Which rows run where, now. Pure: no clock, no process, no promise; the same state gives the same
 * answer, and arrivals, completions and retries all ask here.
 *
 * 1. Without an idle worker or a waiting row there is nothing to do.
 * 2. The row that came first decides the model: no model is passed over for long.
 * 3. The worker is an idle one that holds the model, else the idle one that holds the fewest.
 * 4. No worker stays idle for the sake of a fuller batch: the waiting rows are shared out among
 *    the idle workers.
 * 5. The batch is the first row and those nearest to it in length, within the limits: rows of like
 *    length waste little on padding, and the first row is in it, so nobody starves.
 *    A row that is to run alone makes a batch of its own.
 * 6. Again from 1, without these rows and that worker.
 */
export function plan<R extends WaitingRow>(
  waiting: readonly R[],
  workers: readonly WorkerView[],
  limits: BatchLimits,
): readonly Dispatch<R>[] {
  const dispatches: Dispatch<R>[] = [];
  let idle = workers.filter((worker) => worker.idle);
  let rows = [...waiting].sort((a, b) => a.order - b.order);
  for (;;) {
    const first = rows[0]; // 1, 2
    const worker = first && chooseWorker(first.model, idle); // 3
    if (first === undefined || worker === undefined) return dispatches;
    const share = Math.ceil(rows.length / idle.length); // 4
    const maxItems = Math.max(1, Math.min(limits.maxItems, share));
    const batch = formBatch(first, rows, { ...limits, maxItems }); // 5
    dispatches.push({ worker: worker.id, model: first.model, rows: batch });
    const taken = new Set(batch); // 6
    rows = rows.filter((row) => !taken.has(row));
    idle = idle.filter((candidate) => candidate !== worker);
  }
}

function chooseWorker(model: string, idle: readonly WorkerView[]): WorkerView | undefined {
  return (
    idle.find(({ models }) => models.has(model)) ??
    [...idle].sort((a, b) => a.models.size - b.models.size)[0]
  );
}

function formBatch<R extends WaitingRow>(
  first: R,
  rows: readonly R[],
  limits: BatchLimits,
): readonly R[] {
  const alike = rows
    .filter((row) => row.model === first.model && row !== first && row.alone !== true)
    .sort(
      (a, b) => Math.abs(a.size - first.size) - Math.abs(b.size - first.size) || a.order - b.order,
    );
  const batch = [first];
  if (first.alone === true) return batch;
  let longest = first.size;
  for (const row of alike) {
    if (batch.length === limits.maxItems) break;
    const padded = Math.max(longest, row.size);
    if (padded * (batch.length + 1) > limits.maxSize) continue;
    batch.push(row);
    longest = padded;
  }
  return batch;
}
