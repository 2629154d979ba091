import type { Capacity } from '../workers/prefetch.js';
import type { WaitingRow, WaitingRows } from './waiting-rows.js';

/** A worker as the scheduler sees it. */
export interface WorkerView {
  readonly id: string;
  readonly capacity: Capacity;
  /** Models that are open there. */
  readonly models: ReadonlySet<string> | ReadonlyMap<string, unknown>;
}

export interface BatchLimits {
  /** Inputs of one batch. */
  readonly maxItems: number;
  /** Inputs × size of the longest, in characters: the work once all are padded to it. */
  readonly maxSize: number;
}

/** These rows run together on that worker. */
export interface Dispatch<R extends WaitingRow> {
  readonly worker: string;
  readonly model: string;
  readonly rows: readonly R[];
  /** For each row, the other waiting rows with its key: they get its result. */
  readonly same: ReadonlyMap<R, readonly R[]>;
  /** Undefined: the rows are one batch. */
  readonly bundle: Bundle | undefined;
}

/** Rows of a job that go to a worker at once. They may be of any lengths: the worker batches them, and they can be recalled. */
export interface Bundle {
  /** Rows × size of the longest, in characters, of each batch that the worker makes of them. */
  readonly batchSize: number;
  /** What waits behind it in the worker’s pipe is sent if it is expected to end within this. */
  readonly prefetchMs: number;
  /** Only of rows that end soon: see {@link BundleLimits.rowSizeFor}. */
  readonly isShort: boolean;
}

/** What bundles are formed of; each in characters of a model. */
export interface BundleLimits {
  /** Rows at most. */
  readonly maxItems: number;
  /** Of the rows together. */
  readonly sizeFor: (model: string) => number;
  readonly batchSizeFor: (model: string) => number;
  /** Only rows up to this size, the shortest first; undefined: in the order of the queue. */
  readonly rowSizeFor?: ((model: string) => number) | undefined;
  readonly prefetchMs: number;
}

/** What differs for rows that nobody waits for. */
export interface PlanOptions {
  /** Prefetch however few users wait. */
  readonly canPrefetch?: boolean;
  /** Lower limit than `maxSize` for batches of a model, in characters. */
  readonly sizeFor?: (model: string) => number;
  /** Form bundles within these, not batches. */
  readonly bundle?: BundleLimits | undefined;
}

/**
 * Fixed cost of a run, in characters. Latency over length of minilm, distilbert and bert-base
 * (`npm run bench -- latency`, 16 and 256 tokens) extrapolates to 11 to 17 tokens at length zero; the rest is
 * the message to the worker.
 */
const RUN_COST = 100;

/**
 * Sizes are characters but padding is in tokens: rows of equal size differ by about this share in tokens.
 * Without it minilm's throughput on real mails is 5 % lower (0.87 of the raw loop's items/s; 32 users).
 */
const LENGTH_UNCERTAINTY = 0.3;

/** Candidates examined for each place of a batch. */
const CANDIDATES_PER_ITEM = 4;

/**
 * Decides which rows run next and on which worker, and takes them out of the queue. Deterministic: no clock,
 * process or promise. Arrivals, completions and retries all call this, repeatedly, until it returns
 * undefined.
 *
 * 1. Nothing to do without an idle worker or a waiting row. Prefetch: a worker on a short batch gets a second
 *    one queued when more users wait than such workers are available. A newcomer is behind those users
 *    anyway; but behind the next batch of a single flooding user nobody must wait.
 * 2. The least-served user is next, with its least-served model: the row at the front of a line waits for
 *    at most one batch of every other user.
 * 3. Prefer an idle worker that has the model open, else the idle one with the fewest models.
 * 4. No worker stays idle for the sake of a fuller batch: the waiting rows are divided among the available
 *    workers.
 * 5. The batch is that row plus rows of the same model and similar length from any user (each pays for its
 *    own), within the limits, as long as a row's padding costs less than a run of its own: short texts run
 *    together, long ones alone. A row marked `alone` is a batch by itself. Rows of a user with a long queue do
 *    not join the batch of a user with a short one.
 *    A bundle has rows of many lengths instead: as many as the worker runs within the time of a bundle.
 * 6. Rows with equal keys run once, charged to the user whose turn came first; the others leave the queue with
 *    it. So a text that a flooding user sent too does not wait longer for that.
 */
export function plan<R extends WaitingRow>(
  waiting: WaitingRows<R>,
  workers: readonly WorkerView[],
  limits: BatchLimits,
  isHeld: (model: string) => boolean = () => false,
  { canPrefetch = false, sizeFor, bundle }: PlanOptions = {},
): Dispatch<R> | undefined {
  const takers = takersOf(workers, waiting, canPrefetch); // 1
  if (takers.length === 0) return undefined;
  // A prefetched batch never opens a model: a row whose model is not open waits for an idle worker.
  const isPrefetch = takers[0]?.capacity === 'prefetch';
  const cannotRun = isPrefetch
    ? (model: string) => isHeld(model) || !takers.some(({ models }) => models.has(model))
    : isHeld;
  const rowSizeFor = bundle?.rowSizeFor;
  const first = rowSizeFor ? waiting.shortest(cannotRun, rowSizeFor) : waiting.next(cannotRun); // 2
  if (first === undefined) return undefined;
  const worker = chooseWorker(first.model, takers); // 3
  if (worker === undefined) return undefined;
  const share = Math.ceil(waiting.size / takers.length); // 4
  const maxItems = Math.max(1, Math.min(limits.maxItems, share));
  const maxSize = Math.min(limits.maxSize, sizeFor?.(first.model) ?? limits.maxSize);
  const rows =
    bundle === undefined
      ? formBatch(first, waiting, { maxItems, maxSize }) // 5
      : formBundle(first, waiting, bundle);
  for (const row of rows) waiting.take(row);
  const same = new Map<R, readonly R[]>(); // 6
  for (const row of rows) {
    const others = waiting.takeSame(row);
    if (others.length > 0) same.set(row, others);
  }
  const of = bundle && {
    batchSize: Math.min(limits.maxSize, bundle.batchSizeFor(first.model)),
    prefetchMs: bundle.prefetchMs,
    isShort: rowSizeFor !== undefined,
  };
  return { worker: worker.id, model: first.model, rows, same, bundle: of };
}

/** Idle workers; if there are none, those that can prefetch, when more users wait than there are of them. */
function takersOf<R extends WaitingRow>(
  workers: readonly WorkerView[],
  { size, activeUsers }: WaitingRows<R>,
  canPrefetch: boolean,
): readonly WorkerView[] {
  if (size === 0) return [];
  const idle = workers.filter(({ capacity }) => capacity === 'now');
  if (idle.length > 0) return idle;
  const next = workers.filter(({ capacity }) => capacity === 'prefetch');
  return canPrefetch || activeUsers > next.length ? next : [];
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
  // The uncertainty alone then outweighs a run, whatever the candidate.
  const isLong = LENGTH_UNCERTAINTY * first.size > RUN_COST;
  if (isLong || first.alone === true || limits.maxItems === 1) return batch;
  let longest = first.size;
  const keys = new Set([first.key]);
  const isOfMany = waiting.hasMany(first.user);
  for (const row of waiting.alike(first.model, first.size, limits.maxItems * CANDIDATES_PER_ITEM)) {
    if (batch.length === limits.maxItems) break;
    if (row === first || row.form !== first.form) continue;
    if (row.key !== undefined && keys.has(row.key)) continue;
    if (!isOfMany && row.user !== first.user && waiting.hasMany(row.user)) continue;
    const padded = Math.max(longest, row.size);
    if (padded * (batch.length + 1) > limits.maxSize) continue;
    const padding = padded * (batch.length + 1) - longest * batch.length - row.size;
    if (padding + LENGTH_UNCERTAINTY * row.size > RUN_COST) continue;
    batch.push(row);
    keys.add(row.key);
    longest = padded;
  }
  return batch;
}

/** Rows of the first one’s user and model, the most alike first: what they cost together is bounded, not their padding. */
function formBundle<R extends WaitingRow>(
  first: R,
  waiting: WaitingRows<R>,
  { maxItems, sizeFor, rowSizeFor }: BundleLimits,
): readonly R[] {
  const bundle = [first];
  const maxSize = sizeFor(first.model);
  const mostRowSize = rowSizeFor?.(first.model) ?? Number.POSITIVE_INFINITY;
  if (first.alone === true || maxItems === 1 || !Number.isFinite(maxSize)) return bundle;
  let size = first.size;
  const keys = new Set([first.key]);
  for (const row of waiting.alike(first.model, first.size, maxItems * CANDIDATES_PER_ITEM)) {
    if (bundle.length === maxItems) break;
    if (row === first || row.form !== first.form) continue;
    if (row.user !== first.user || row.size > mostRowSize) continue;
    if ((row.key !== undefined && keys.has(row.key)) || size + row.size > maxSize) continue;
    bundle.push(row);
    keys.add(row.key);
    size += row.size;
  }
  return bundle;
}
