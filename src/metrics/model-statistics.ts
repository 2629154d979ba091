/** How often something happened, and how long it took in all. */
export interface Duration {
  readonly count: number;
  readonly totalMs: number;
}

/** Batches of one size. */
export interface BatchesOfSize {
  readonly rows: number;
  readonly tokenized: Duration;
  readonly run: Duration;
}

/** What was counted of one model since the server started. */
export interface ModelFigures {
  /** Time of the last request that was answered, ms since 1970; 0 if there was none. */
  readonly lastAnsweredAtMs: number;
  /** Requests, from their arrival at the model to their answer. */
  readonly answered: Duration;
  readonly failed: Duration;
  /** Requests of which every row was in the cache. */
  readonly cacheHits: Duration;
  /** Requests that were computed, or a part of them. */
  readonly queued: Duration;
  readonly tokenized: Duration;
  readonly run: Duration;
  /** By size, the smallest first. */
  readonly batches: readonly BatchesOfSize[];
}

/** An answer, as far as it is counted. */
export interface CountedAnswer {
  readonly tookMs: number;
  readonly answer: {
    readonly model: string;
    /** Where each result came from; false: it was computed. */
    readonly cached: readonly (false | string)[];
    readonly timing: {
      readonly queueMs: number;
      readonly tokenizeMs: number;
      readonly runMs: number;
    };
  };
}

/** Most models that are counted apart; a server has far fewer. */
const MAX_MODELS = 10_000;

class Sum implements Duration {
  count = 0;
  totalMs = 0;

  add(ms: number): void {
    this.count += 1;
    this.totalMs += ms;
  }
}

class Figures {
  lastAnsweredAtMs = 0;
  readonly answered = new Sum();
  readonly failed = new Sum();
  readonly cacheHits = new Sum();
  readonly queued = new Sum();
  readonly tokenized = new Sum();
  readonly run = new Sum();
  readonly bySize = new Map<number, { readonly tokenized: Sum; readonly run: Sum }>();
}

/** Counts by model what Prometheus' metrics count for all models together. It owns the counts. */
export class ModelStatistics {
  readonly #models = new Map<string, Figures>();

  /** A request was answered. */
  answered({ answer: { model, cached, timing }, tookMs }: CountedAnswer): void {
    const figures = this.#of(model);
    if (figures === undefined) return;
    figures.lastAnsweredAtMs = Date.now();
    figures.answered.add(tookMs);
    if (!cached.includes(false)) {
      figures.cacheHits.add(tookMs);
      return;
    }
    figures.queued.add(timing.queueMs);
    figures.tokenized.add(timing.tokenizeMs);
    figures.run.add(timing.runMs);
  }

  /** A request to a model that there is was not answered. */
  failed(model: string, tookMs: number): void {
    this.#of(model)?.failed.add(tookMs);
  }

  /** A batch was answered. @param rows of it. */
  ran(model: string, rows: number, took: { readonly tokenizeMs: number; readonly runMs: number }) {
    const bySize = this.#of(model)?.bySize;
    if (bySize === undefined) return;
    const known = bySize.get(rows);
    const sums = known ?? { tokenized: new Sum(), run: new Sum() };
    if (known === undefined) bySize.set(rows, sums);
    sums.tokenized.add(took.tokenizeMs);
    sums.run.add(took.runMs);
  }

  /** What was counted; all zero for a model that nobody has asked yet. */
  of(model: string): ModelFigures {
    const { bySize, ...figures } = this.#models.get(model) ?? new Figures();
    const batches = [...bySize].map(([rows, sums]) => ({ rows, ...sums }));
    return { ...figures, batches: batches.sort((a, b) => a.rows - b.rows) };
  }

  #of(model: string): Figures | undefined {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MAX_MODELS) return undefined;
    const figures = new Figures();
    this.#models.set(model, figures);
    return figures;
  }
}
