import type { Dispatch } from './queue/scheduler.js';
import type { Row } from './requests.js';

/** Rows of a batch, each with the other rows that get its result; requests may join while it runs. */
export type JoinedRows = ReadonlyMap<Row, Row[]>;

/** The batches that run now: how many of each model, and which keys. */
export class RunningBatches {
  readonly #counts = new Map<string, number>();
  /** For the key of each running row, that row and those that will share its result. */
  readonly #joined = new Map<string, { readonly row: Row; readonly others: Row[] }>();

  #jobBatches = 0;

  /** Batches and bundles of jobs, but for short bundles. */
  get jobBatches(): number {
    return this.#jobBatches;
  }

  countOf(model: string): number {
    return this.#counts.get(model) ?? 0;
  }

  hasKey(key: string): boolean {
    return this.#joined.has(key);
  }

  /** Joins the row to the running one with its key. @returns that one; undefined if there is none */
  join(row: Row): Row | undefined {
    const running = row.key === undefined ? undefined : this.#joined.get(row.key);
    running?.others.push(row);
    return running?.row;
  }

  begin(dispatch: Omit<Dispatch<Row>, 'worker'>): JoinedRows {
    const { model, rows, same } = dispatch;
    this.#counts.set(model, this.countOf(model) + 1);
    if (isOfJob(dispatch)) this.#jobBatches += 1;
    const joined = new Map(rows.map((row) => [row, [...(same.get(row) ?? [])]]));
    for (const [row, others] of joined) {
      if (row.key !== undefined) this.#joined.set(row.key, { row, others });
    }
    return joined;
  }

  /** The outcome is there: nobody can join any more. From now on an equal input is a cache hit, or runs again. */
  closeTo(rows: JoinedRows): void {
    for (const { key } of rows.keys()) if (key !== undefined) this.#joined.delete(key);
  }

  end(dispatch: Omit<Dispatch<Row>, 'worker'>): void {
    this.#counts.set(dispatch.model, this.countOf(dispatch.model) - 1);
    if (isOfJob(dispatch)) this.#jobBatches -= 1;
  }
}

function isOfJob({ rows, bundle }: Pick<Dispatch<Row>, 'rows' | 'bundle'>): boolean {
  return rows[0]?.isJob === true && bundle?.isShort !== true;
}
