import { Counter, Gauge, type Registry } from 'prom-client';

/** What is counted of bulk jobs. */
export class JobMetrics {
  readonly #rows: Counter;
  readonly #badRows: Counter;
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    this.#rows = new Counter({
      ...{ name: 'plimsoll_job_rows_total', help: 'Rows of bulk jobs that this server read' },
      registers,
    });
    this.#badRows = new Counter({
      ...{ name: 'plimsoll_job_bad_rows_total', help: 'Rows of bulk jobs without an answer' },
      registers,
    });
  }

  /** Rows were done, the bad ones among them. */
  ran(rows: number, bad: number): void {
    this.#rows.inc(rows);
    this.#badRows.inc(bad);
  }

  /** @param backlogSeconds for all servers together; rejects while the queue does not answer */
  observe(of: { readonly backlogSeconds: () => Promise<number> }): void {
    new Gauge({
      name: 'plimsoll_jobs_backlog_seconds',
      help: 'Time that open bulk jobs will take at the pace of the last minute, all servers together',
      registers: [this.#registry],
      async collect() {
        // A queue that does not answer must not cost all other metrics.
        this.set(await of.backlogSeconds().catch(() => Number.NaN));
      },
    });
  }
}
