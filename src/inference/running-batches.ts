import type { Dispatch } from './queue/scheduler.js';
import type { Row } from './requests.js';

/** Rows of a batch, each with the other rows that get its result; requests may join while it runs. */
export type JoinedRows = ReadonlyMap<Row, Row[]>;

/** The batches that run now: how many of each model, and which keys. */
export class RunningBatches {
  readonly #counts = new Map<string, number>();
  /** For the key of each running row, the rows that will share its result. */
  readonly #joined = new Map<string, Row[]>();

  #jobBatches = 0;

  /** Batches of jobs. */
  get jobBatches(): number {
    return this.#jobBatches;
  }

  countOf(model: string): number {
    return this.#counts.get(model) ?? 0;
  }

  hasKey(key: string): boolean {
    return this.#joined.has(key);
  }

  /** Joins the row to the running one with its key. @returns whether there is one */
  join(row: Row): boolean {
    const others = row.key === undefined ? undefined : this.#joined.get(row.key);
    others?.push(row);
    return others !== undefined;
  }

  begin({ model, rows, same }: Pick<Dispatch<Row>, 'model' | 'rows' | 'same'>): JoinedRows {
    this.#counts.set(model, this.countOf(model) + 1);
    if (rows[0]?.isJob) this.#jobBatches += 1;
    const joined = new Map(rows.map((row) => [row, [...(same.get(row) ?? [])]]));
    for (const [{ key }, others] of joined) if (key !== undefined) this.#joined.set(key, others);
    return joined;
  }

  /** The outcome is there: nobody can join any more. From now on an equal input is a cache hit, or runs again. */
  closeTo(rows: JoinedRows): void {
    for (const { key } of rows.keys()) if (key !== undefined) this.#joined.delete(key);
  }

  end({ model, rows }: Pick<Dispatch<Row>, 'model' | 'rows'>): void {
    this.#counts.set(model, this.countOf(model) - 1);
    if (rows[0]?.isJob) this.#jobBatches -= 1;
  }
}
