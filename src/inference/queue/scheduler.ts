import type { Takes } from '../workers/prefetch.js';
import type { WaitingRow, WaitingRows } from './waiting-rows.js';

/** A worker as the scheduler sees it. */
export interface WorkerView {
  readonly id: string;
  readonly takes: Takes;
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
  /** Rows that waited with the key of one of those, under it: they get its result. */
  readonly same: ReadonlyMap<R, readonly R[]>;
}

/**
 * What a run costs beside its rows, in characters. Times over lengths of minilm, distilbert and bert-base
 * (`npm run bench -- latency`, 16 and 256 tokens) meet zero length at the price of 11 to 17 tokens; the
 * rest is the message to the worker.
 */
const RUN_COST = 100;

/**
 * Sizes are characters; what is padded are tokens. Rows of one size differ by about this part of it in
 * tokens. Without it minilm got 5 % less done with real mails (0.87 of the raw loop's items/s; 32 users).
 */
const LENGTH_DOUBT = 0.3;

/** Rows that are looked at for one batch, for each that it may have: the rest is too long or short. */
const LOOKS_PER_ITEM = 4;

/**
 * Which rows run next, and where; they are taken out of those that wait. Nothing else changes: no
 * clock, no process, no promise; the same state gives the same answer, and arrivals, completions and
 * retries all ask here, again and again until there is nothing to do.
 *
 * 1. Without an idle worker or a waiting row there is nothing to do; but those that work on a short batch, and hold
 *    the model, get their next one too where more users wait than there are such workers. Who comes now is behind
 *    those users anyway; behind the next batch of a flood alone nobody has to wait.
 * 2. The user who was served least is next, with the model of it that was served least: a row at the
 *    front of its line waits for at most one batch of every other user.
 * 3. The worker is an idle one that holds the model, else the idle one that holds the fewest.
 * 4. No worker stays idle for the sake of a fuller batch: the waiting rows are shared out among
 *    those that take a batch.
 * 5. The batch is that first row and others of the model of like length, whoever sent them (each user
 *    pays for its own), within the limits, as long as a row costs less in the batch (in padding) than a run
 *    of its own would: short ones run together, long ones alone. A row that is to run alone makes a batch
 *    of its own, and who has few does not wait for rows of one who has many: those have turns of their own.
 * 6. Rows of the same key run once, for the user whose turn comes first, who pays; the others leave
 *    their lines with it. So a text that a flood has too waits no longer than one that it has not.
 */
export function plan<R extends WaitingRow>(
  waiting: WaitingRows<R>,
  workers: readonly WorkerView[],
  limits: BatchLimits,
  isHeld: (model: string) => boolean = () => false,
): Dispatch<R> | undefined {
  const takers = takersOf(workers, waiting); // 1
  if (takers.length === 0) return undefined;
  // Nothing is opened behind a batch: whose model nobody holds open waits for an idle one.
  const isAhead = takers[0]?.takes === 'next';
  const cannotRun = isAhead
    ? (model: string) => isHeld(model) || !takers.some(({ models }) => models.has(model))
    : isHeld;
  const first = waiting.next(cannotRun); // 2
  if (first === undefined) return undefined;
  const worker = chooseWorker(first.model, takers); // 3
  if (worker === undefined) return undefined;
  const share = Math.ceil(waiting.size / takers.length); // 4
  const maxItems = Math.max(1, Math.min(limits.maxItems, share));
  const rows = formBatch(first, waiting, { ...limits, maxItems }); // 5
  for (const row of rows) waiting.take(row);
  const same = new Map<R, readonly R[]>(); // 6
  for (const row of rows) {
    const others = waiting.takeSame(row);
    if (others.length > 0) same.set(row, others);
  }
  return { worker: worker.id, model: first.model, rows, same };
}

/** The idle ones; without any, those that take their next batch where enough users wait for all. */
function takersOf<R extends WaitingRow>(
  workers: readonly WorkerView[],
  { size, activeUsers }: WaitingRows<R>,
): readonly WorkerView[] {
  if (size === 0) return [];
  const idle = workers.filter(({ takes }) => takes === 'now');
  if (idle.length > 0) return idle;
  const next = workers.filter(({ takes }) => takes === 'next');
  return activeUsers > next.length ? next : [];
}

function chooseWorker(model: string, takers: readonly WorkerView[]): WorkerView | undefined {
  const holder = takers.find(({ models }) => models.has(model));
  if (holder !== undefined) return holder;
  return takers.reduce<WorkerView | undefined>(
    (best, each) => (best === undefined || each.models.size < best.models.size ? each : best),
    undefined,
  );
}

function formBatch<R extends WaitingRow>(
  first: R,
  waiting: WaitingRows<R>,
  limits: BatchLimits,
): readonly R[] {
  const batch = [first];
  // The doubt alone is worth a run then, for whichever row: none has to be looked at.
  const isLong = LENGTH_DOUBT * first.size > RUN_COST;
  if (isLong || first.alone === true || limits.maxItems === 1) return batch;
  let longest = first.size;
  const keys = new Set([first.key]);
  const isOfMany = waiting.hasMany(first.user);
  for (const row of waiting.alike(first.model, first.size, limits.maxItems * LOOKS_PER_ITEM)) {
    if (batch.length === limits.maxItems) break;
    if (row === first || (row.key !== undefined && keys.has(row.key))) continue;
    if (!isOfMany && row.user !== first.user && waiting.hasMany(row.user)) continue;
    const padded = Math.max(longest, row.size);
    if (padded * (batch.length + 1) > limits.maxSize) continue;
    const padding = padded * (batch.length + 1) - longest * batch.length - row.size;
    if (padding + LENGTH_DOUBT * row.size > RUN_COST) continue;
    batch.push(row);
    keys.add(row.key);
    longest = padded;
  }
  return batch;
}
