/** How fast a job goes, and when it will be done. */

/** Progress older than this is not counted. */
const WINDOW_MS = 60_000;
/** Less than this tells nothing yet. */
const LEAST_MS = 1000;

interface Sample {
  readonly atMs: number;
  readonly rows: number;
}

/** Rows that were done by and by. */
export class Rate {
  readonly #samples: Sample[] = [];

  /** @param rows done so far */
  add(atMs: number, rows: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && rows === last.rows && this.#samples.length > 1) {
      this.#samples[this.#samples.length - 1] = { atMs, rows };
    } else this.#samples.push({ atMs, rows });
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? 0) < atMs - WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Rows per second over the last minute; undefined before that can be said. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const ms = last.atMs - first.atMs;
    return ms < LEAST_MS ? undefined : ((last.rows - first.rows) * 1000) / ms;
  }
}

/**
 * Rows of a job once it is done, from the part of its bytes that is done; undefined before that can be said.
 *
 * @param of bytes of all files, and of the shards that are done
 */
export function expectedRows(of: {
  readonly planned: boolean;
  readonly rows: number;
  readonly bytes: number;
  readonly bytesDone: number;
}): number | undefined {
  if (!of.planned || of.bytesDone <= 0 || of.rows === 0) return undefined;
  return Math.max(of.rows, Math.round((of.rows * of.bytes) / of.bytesDone));
}

/** Rows of the shards that run on this server now: the queue counts those that are done. */
export class RunningRows {
  readonly #rows = new Map<string, number>();
  readonly #onRows: (rows: number, bad: number) => void;

  /** @param onRows told of all rows */
  constructor(onRows: (rows: number, bad: number) => void) {
    this.#onRows = onRows;
  }

  ran(job: string, rows: number, bad: number): void {
    this.#rows.set(job, this.of(job) + rows);
    this.#onRows(rows, bad);
  }

  /** A shard has ended, however. */
  ended(job: string, rows: number): void {
    const left = this.of(job) - rows;
    if (left > 0) this.#rows.set(job, left);
    else this.#rows.delete(job);
  }

  of(job: string): number {
    return this.#rows.get(job) ?? 0;
  }
}
