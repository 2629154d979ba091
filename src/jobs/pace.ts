/** How fast all servers together do the rows of the open jobs. */

/** Rows per second that are assumed before the first shard of any open job is done. */
export const ASSUMED_ROWS_PER_SECOND = 100;

/** The pace is that of the last minute … */
const WINDOW_MS = 60_000;
/** … or of as many changes, where they are further apart: shards of a slow model take minutes. */
const LEAST_CHANGES = 3;

/** What the journal says of an open job. */
export interface OpenJob {
  readonly id: string;
  readonly startedAtMs: number | null;
  /** Rows of its shards that are done, on whichever server. */
  readonly rows: number;
}

interface Change {
  readonly atMs: number;
  /** Rows done since the first look. */
  readonly rows: number;
}

/**
 * Rows per second of the whole fleet, from what the journals have more at each look.
 *
 * 1. Seen here: the rows since the change that is a minute old, or three changes back if that is longer ago, over the time since.
 *    While nothing is done that time grows, so the pace falls towards 0.
 * 2. Nothing was seen here yet, as after a restart: the mean of each open job since it began.
 * 3. No shard of an open job is done: an assumed pace.
 */
export class FleetPace {
  readonly #rowsOf = new Map<string, number>();
  #changes: Change[] = [];
  #mean = 0;

  /** Jobs that were open at the last look. */
  get jobs(): Iterable<string> {
    return this.#rowsOf.keys();
  }

  /**
   * @param open each open job, and with its last rows each that ended since the last look
   * @param nowMs of a clock that is that of `startedAtMs`
   */
  look(nowMs: number, open: readonly OpenJob[], ended: readonly OpenJob[]): void {
    // Another job may be asked of another model: what was before it tells nothing.
    if (open.length === 0) {
      this.#clear();
      return;
    }
    const last = this.#changes.at(-1)?.rows ?? 0;
    let rows = last;
    for (const job of [...open, ...ended]) {
      const before = this.#rowsOf.get(job.id) ?? job.rows;
      rows += Math.max(0, job.rows - before);
      this.#rowsOf.set(job.id, job.rows);
    }
    for (const { id } of ended) this.#rowsOf.delete(id);
    this.#mean = sumOf(open.map((job) => meanOf(job, nowMs)));
    this.#beginAt(open);
    if (rows === last && this.#changes.length > 0) return;
    this.#changes.push({ atMs: nowMs, rows });
    this.#changes = this.#changes.slice(this.#firstOfWindow(nowMs));
  }

  perSecond(nowMs: number): number {
    const first = this.#changes[this.#firstOfWindow(nowMs)];
    const last = this.#changes.at(-1);
    if (first !== undefined && last !== undefined && last.rows > first.rows) {
      return ((last.rows - first.rows) * 1000) / Math.max(1, nowMs - first.atMs); // 1
    }
    return this.#mean > 0 ? this.#mean : ASSUMED_ROWS_PER_SECOND; // 2, 3
  }

  #firstOfWindow(nowMs: number): number {
    const inWindow = this.#changes.findLastIndex(({ atMs }) => atMs <= nowMs - WINDOW_MS);
    return Math.max(0, Math.min(inWindow, this.#changes.length - 1 - LEAST_CHANGES));
  }

  /** Time in which a job waited for a server that works is none of its pace. */
  #beginAt(open: readonly OpenJob[]): void {
    const [first, second] = this.#changes;
    const began = open.flatMap(({ startedAtMs }) => startedAtMs ?? []);
    if (first === undefined || second !== undefined || began.length === 0) return;
    this.#changes = [{ ...first, atMs: Math.max(first.atMs, Math.min(...began)) }];
  }

  #clear(): void {
    this.#rowsOf.clear();
    this.#changes = [];
    this.#mean = 0;
  }
}

function meanOf({ rows, startedAtMs }: OpenJob, nowMs: number): number {
  return startedAtMs === null ? 0 : (rows * 1000) / Math.max(1000, nowMs - startedAtMs);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
